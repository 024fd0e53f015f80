//! What `rs-rootfs unpack` keeps in memory. Alone in its file: the kernel
//! tells the most that any program of this process took.
#![allow(clippy::disallowed_methods, reason = "tests set the stage with whatever serves")]

use chain::testing::{Scratch, bin, needs};
use nix::sys::resource::{UsageWho, getrusage};
use std::io::{BufWriter, Write};
use std::process::{Command, Stdio};

/// The header of the folder `name`.
fn folder(name: &str) -> [u8; 512] {
    let mut block = [0; 512];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name.as_bytes());
    put(100, b"0000755\x000000000\x000000000\x0000000000000\x0014524770400\x00        5");
    put(257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// Each has a time that is set at the end, so none can be forgotten before.
#[test]
fn very_many_folders_take_less_than_50_mb() {
    needs!("root", "mount", "unshare");
    let scratch = Scratch::new();
    let script =
        "cd \"$1\" && mkdir m && mount -t tmpfs -o nr_inodes=0 none m && \"$2\" unpack - m/d && ls m/d | wc -l";
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", script, "sh"]).arg(scratch.path()).arg(bin("rs-rootfs"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut to = BufWriter::new(child.stdin.take().expect("a pipe"));
    for number in 0..300_000 {
        to.write_all(&folder(&format!("{}/{number}", number / 1000))).expect("it reads");
    }
    drop(to);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "300\n");
    let kilobytes = getrusage(UsageWho::RUSAGE_CHILDREN).expect("known").max_rss();
    assert!(kilobytes < 50_000, "{kilobytes} kB");
}
