//! `cargo bench -p rs-cgexec -- [ROUNDS [PROGRAM]]`: how long
//! `cgexec -g CONTROLLERS:GROUP PROGRAM` takes with libcgroup's cgexec and with
//! ours, as root, on each cgroup version that this host has. PROGRAM is `true`;
//! a static one takes the dynamic loader's part out, which both pay alike.
//!
//! The controllers are cpu and memory. A hybrid host has them on v1: there v2
//! is measured with whatever its v2 tree has (hugetlb is often left to it), as
//! a v2 group is entered once, whatever its controllers.
//!
//! All take turns, so that whatever else the machine does hits each alike. A
//! process that moves another by its number, or a whole process on v2, waits
//! for a grace period of the kernel's, unless somebody has done so a moment
//! ago. So there are two tables: turns without a break, and turns after a
//! pause, as when a machine starts a container now and then.
//!
//! Tools and program are copied to one temporary folder: the file system that
//! they come from is not what is measured. With `RS_BIN=FOLDER` the tools of
//! that folder are taken: the musl ones are what is shipped.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a benchmark measures, and prints to whoever asked"
)]

use chain::testing::{Scratch, bin, find};
use rs_cgexec::hierarchy::{Host, Version};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// Longer than a grace period.
const PAUSE: Duration = Duration::from_millis(40);

struct Row {
    name: &'static str,
    words: Vec<PathBuf>,
    taken: Vec<Duration>,
}

impl Row {
    fn turn(&mut self) {
        let begin = Instant::now();
        let status = Command::new(&self.words[0]).args(&self.words[1..]).status();
        self.taken.push(begin.elapsed());
        assert!(status.is_ok_and(|status| status.success()), "{:?} failed", self.words);
    }

    /// The fastest and the median turn, in milliseconds.
    fn result(&mut self) -> (f64, f64) {
        self.taken.sort();
        let [first, median] = [0, self.taken.len() / 2].map(|at| self.taken[at].as_secs_f64() * 1e3);
        (first, median)
    }
}

/// The group, which is gone when the benchmark is over.
struct Group(String);

impl Group {
    fn new(controllers: &str) -> Self {
        let spec = format!("{controllers}:rs-benchmark-{}", std::process::id());
        let made = Command::new(bin("rs-cgcreate")).args(["-g", &spec]).status();
        assert!(made.is_ok_and(|status| status.success()), "cannot make the group: root only");
        Self(spec)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = Command::new(bin("rs-cgdelete")).args(["-g", &self.0]).status();
    }
}

fn rows(scratch: &Scratch, theirs: &Path, program: &Path, spec: &str) -> Vec<Row> {
    let here = |file: &Path| {
        let copy = scratch.join(file.file_name().expect("a file's path"));
        std::fs::copy(file, &copy).expect("room for a copy");
        copy
    };
    let (theirs, ours, program) = (here(theirs), here(&bin("rs-cgexec")), here(program));
    let row = |name, tool: &Path, options: &[&str]| {
        let mut words = vec![tool.to_owned()];
        words.extend(options.iter().map(PathBuf::from));
        words.extend(["-g".into(), spec.into(), program.clone()]);
        Row { name, words, taken: Vec::new() }
    };
    vec![
        row("cgexec", &theirs, &[]),
        row("rs-cgexec", &ours, &[]),
        row("rs-cgexec --fork", &ours, &["--fork"]),
        Row { name: "the program alone", words: vec![program.clone()], taken: Vec::new() },
    ]
}

fn table(title: &str, rows: &mut [Row], rounds: usize, pause: Duration) {
    for row in rows.iter_mut() {
        row.taken.clear();
        row.turn();
        row.taken.clear();
    }
    for _ in 0..rounds {
        for row in rows.iter_mut() {
            std::thread::sleep(pause);
            row.turn();
        }
    }
    println!("{title:<24} {:>11} {:>11} {:>16} {:>16}", "fastest, ms", "median, ms", "times faster", "by the median");
    let (first, median) = rows[0].result();
    for row in rows {
        let (fastest, middle) = row.result();
        let (by_fastest, by_median) = (first / fastest, median / middle);
        println!("{:<24} {fastest:>11.2} {middle:>11.2} {by_fastest:>16.1} {by_median:>16.1}", row.name);
    }
}

/// The versions of the host, each with the controllers that it is measured with.
fn versions() -> Vec<(u8, String)> {
    let host = Host::read().expect("the mount table");
    let main = host.find("cpu").map(|hierarchy| hierarchy.version);
    let left = host.v2().map(|hierarchy| hierarchy.controllers.join(",")).filter(|names| !names.is_empty());
    match (main, left) {
        (Some(Version::V2), _) => vec![(2, "cpu,memory".into())],
        (Some(Version::V1), left) => {
            [(1, "cpu,memory".into())].into_iter().chain(left.map(|names| (2, names))).collect()
        }
        (None, _) => panic!("no hierarchy has the cpu controller"),
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let rounds = words.first().map_or(200, |word| word.parse().expect("ROUNDS is a number"));
    let Some(theirs) = find("cgexec") else {
        eprintln!("needs cgexec (cgroup-tools)");
        return ExitCode::from(77);
    };
    let program = words.get(1).map_or_else(|| find("true").expect("true"), PathBuf::from);
    for (version, controllers) in versions() {
        let group = Group::new(&controllers);
        let scratch = Scratch::new();
        let mut rows = rows(&scratch, &theirs, &program, &group.0);
        println!("cgroup v{version}, {controllers}, {rounds} turns of {}", program.display());
        table("without a break", &mut rows, rounds, Duration::ZERO);
        table("after a pause", &mut rows, rounds, PAUSE);
    }
    ExitCode::SUCCESS
}
