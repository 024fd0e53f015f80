//! `cargo bench -p rs-cgexec -- [ROUNDS [PROGRAM]]`: how long
//! `cgexec -g cpu,memory:GROUP PROGRAM` takes with libcgroup's cgexec and with
//! ours, as root, on cgroup v1 or v2. PROGRAM is `true`; a static one takes
//! the dynamic loader's part out, which both pay alike.
//!
//! All take turns, so that whatever else the machine does hits each alike. A
//! process that moves another by its number, or a whole process on v2, waits
//! for a grace period of the kernel's, unless somebody has done so a moment
//! ago. So there are two tables: turns without a break, and turns after a
//! pause, as when a machine starts a container now and then.
//!
//! Tools and program are copied to one temporary folder: the file system that
//! they come from is not what is measured. With `RS_BIN=FOLDER` the tools of
//! that folder are taken: the musl ones are what is shipped. Ends with 1 if
//! `LIMIT` is set and ours is not that many times faster (with `--fork` on v2).
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

const CONTROLLERS: &str = "cpu,memory";
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
    fn new() -> Self {
        let spec = format!("{CONTROLLERS}:rs-benchmark-{}", std::process::id());
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

/// Prints a table. How many times faster the rows are, by their medians.
fn table(title: &str, rows: &mut [Row], rounds: usize, pause: Duration) -> Vec<f64> {
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
    let mut print = |row: &mut Row| {
        let (fastest, middle) = row.result();
        let (by_fastest, by_median) = (first / fastest, median / middle);
        println!("{:<24} {fastest:>11.2} {middle:>11.2} {by_fastest:>16.1} {by_median:>16.1}", row.name);
        by_median
    };
    rows.iter_mut().map(&mut print).collect()
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let rounds = words.first().map_or(200, |word| word.parse().expect("ROUNDS is a number"));
    let Some(theirs) = find("cgexec") else {
        eprintln!("needs cgexec (cgroup-tools)");
        return ExitCode::from(77);
    };
    let program = words.get(1).map_or_else(|| find("true").expect("true"), PathBuf::from);
    let group = Group::new();
    let scratch = Scratch::new();
    let mut rows = rows(&scratch, &theirs, &program, &group.0);
    let host = Host::read().expect("the mount table");
    let v2 = host.find("cpu").is_some_and(|hierarchy| hierarchy.version == Version::V2);
    println!("cgroup v{}, {rounds} turns of {}", if v2 { 2 } else { 1 }, program.display());
    let at_once = table("without a break", &mut rows, rounds, Duration::ZERO);
    let paused = table("after a pause", &mut rows, rounds, PAUSE);
    let which = if v2 { 2 } else { 1 };
    let limit = std::env::var("LIMIT").ok().and_then(|limit| limit.parse().ok()).unwrap_or(0.0);
    ExitCode::from(u8::from(at_once[which].min(paused[which]) < limit))
}
