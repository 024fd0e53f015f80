//! Every word, wherever it may be said: by root, by an ordinary user, in a
//! user namespace, after a change of root, with locked securebits, with
//! no-new-privs, on kernels with more and fewer capabilities. The original,
//! there too, says what is right.
#![allow(clippy::disallowed_methods, reason = "tests set the stage with whatever serves")]

use chain::testing::{Kernel, Ran, Scratch, bin, find, have, needs};
use rs_capsh::step::{self, Act};
use std::collections::BTreeSet;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Every word of the table with values of several kinds; the words that are
/// ours alone are not among them.
const WORDS: &[&str] = &[
    "--addamb=cap_kill",
    "--addamb=63",
    "--delamb=cap_kill",
    "--delamb=all",
    "--delamb=42",
    "--cap-uid=1",
    "--cap-uid=x",
    "--user=root",
    "--user=nobody",
    "--user=nosuch",
    "--caps=",
    "--caps==ep",
    "--caps=all=i",
    "--caps=cap_kill=p",
    "--caps=42=p",
    "--caps=bad",
    "--chroot=/",
    "--chroot=/nosuch",
    "--current",
    "--print",
    "--decode=3ffffffffff",
    "--drop=cap_kill",
    "--drop=all",
    "--drop=",
    "--drop=42",
    "--drop=bad",
    "--dropped=cap_kill",
    "--dropped=42",
    "--explain=cap_kill",
    "--explain=40",
    "--explain=41",
    "--explain=43",
    "--suggest=checkpoint_restore",
    "--suggest=nosuchtext",
    "--forkfor=1",
    "--killit=9",
    "--gid=1",
    "--gid=0",
    "--uid=1",
    "--uid=0",
    "--uid=99",
    "--groups=1,2",
    "--groups=",
    "--groups=daemon",
    "--has-a=cap_kill",
    "--has-a=42",
    "--has-b=cap_kill",
    "--has-b=42",
    "--has-b=40",
    "--has-i=cap_kill",
    "--has-i=42",
    "--has-p=cap_kill",
    "--has-p=42",
    "--has-ambient",
    "--has-no-new-privs",
    "--iab=",
    "--iab=!cap_kill",
    "--iab=cap_kill",
    "--iab=!^cap_kill",
    "--iab=42",
    "--inh=cap_kill",
    "--inh=all",
    "--inh=",
    "--inh=42",
    "--inmode=HYBRID",
    "--inmode=UNCERTAIN",
    "--inmode=PURE1E_INIT",
    "--is-uid=0",
    "--is-gid=0",
    "--is-uid=99",
    "--keep=0",
    "--keep=1",
    "--keep=2",
    "--mode",
    "--mode=HYBRID",
    "--mode=PURE1E",
    "--mode=PURE1E_INIT",
    "--mode=NOPRIV",
    "--mode=bad",
    "--modes",
    "--no-new-privs",
    "--noamb",
    "--noenv",
    "--quiet",
    "--secbits=0",
    "--secbits=0x2f",
    "--secbits=0xef",
    "--shell=/bin/true",
    "--strict",
    "--supports=cap_kill",
    "--supports=40",
    "--supports=41",
    "--supports=42",
    "--",
    "-+",
    "==",
    "=+",
    "--license",
];

/// What is said after every word, so that its effect shows.
const AFTER: [&str; 1] = ["--print"];

/// Somewhere to say words.
struct Context {
    name: &'static str,
    /// Words before.
    before: Vec<String>,
    /// Programs in front of capsh.
    through: &'static [&'static str],
    user: Option<u32>,
    kernel: Option<Kernel>,
}

impl Context {
    fn new(name: &'static str) -> Self {
        Self { name, before: Vec::new(), through: &[], user: None, kernel: None }
    }

    fn after(self, words: &[&str]) -> Self {
        Self { before: words.iter().map(|word| (*word).to_owned()).collect(), ..self }
    }

    fn run(&self, program: &Path, words: &[&str]) -> Ran {
        let mut all: Vec<&std::ffi::OsStr> = self.through.iter().map(|word| (*word).as_ref()).collect();
        all.push(program.as_os_str());
        let mut command = Command::new(all[0]);
        command.args(&all[1..]).args(&self.before).args(words).stdin(Stdio::null()).current_dir("/");
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env_remove("RS_TRACE");
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        if let Some(kernel) = self.kernel {
            kernel.under(&mut command);
        }
        command.output().expect("it starts").into()
    }
}

/// What both must say alike: no descriptions, no usage, no license, no
/// wording of the warning; it is lost or doubled where the original starts a
/// program.
fn comparable(ran: &Ran, word: &str) -> (i32, Vec<String>) {
    let starts = ["--", "-+", "==", "=+", "--forkfor=1"].contains(&word);
    let mut lines: Vec<String> = Vec::new();
    for line in ran.stdout.lines() {
        let line = match line {
            line if line.starts_with("WARNING:") && starts => continue,
            line if line.starts_with("WARNING:") => {
                line.split_once('(').map_or("WARNING", |(_, number)| number).to_owned()
            }
            line if line.to_lowercase().starts_with("usage: ") => {
                lines.push("usage".to_owned());
                break;
            }
            line if line.starts_with("    ") => continue,
            line if line.contains("icense") || line.starts_with("Copyright") => continue,
            line => line.to_owned(),
        };
        lines.push(line);
    }
    (ran.status, lines)
}

/// Where the original is wrong: it goes on after the securebits were refused,
/// and tells the reason of a later call.
fn excused(context: &str, word: &str) -> bool {
    context == "keep-caps locked on" && word == "--mode=NOPRIV"
}

/// In an emulated machine only some words are tried: the kernel is another,
/// the time is long.
fn step() -> usize {
    if std::env::var("RS_LANE").is_ok_and(|lane| lane.starts_with('v')) { 9 } else { 1 }
}

fn differences(contexts: &[Context]) -> Vec<String> {
    let original = find("capsh").expect("the original");
    let ours = bin("rs-capsh");
    let mut differences = Vec::new();
    for context in contexts {
        for word in WORDS.iter().step_by(step()) {
            let words: Vec<&str> = match *word {
                // These take all that follows.
                "--" | "-+" => vec!["--shell=/bin/echo", word, "done"],
                "==" | "=+" => vec![word, "--modes"],
                "--forkfor=1" => vec![word, "--killit=9", "--modes"],
                _ => std::iter::once(*word).chain(AFTER).collect(),
            };
            let (theirs, ours) = (context.run(&original, &words), context.run(&ours, &words));
            assert!(!ours.stderr.contains("panicked"), "{} {word}: {}", context.name, ours.stderr);
            if excused(context.name, word) {
                continue;
            }
            if comparable(&theirs, word) != comparable(&ours, word)
                || theirs.stderr.is_empty() != ours.stderr.is_empty()
            {
                differences.push(format!("{}: {words:?}\n  theirs {theirs:?}\n  ours   {ours:?}", context.name));
            }
        }
    }
    differences
}

fn check(contexts: &[Context]) {
    let differences = differences(contexts);
    assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), differences.join("\n"));
}

#[test]
fn every_word_of_the_table_is_tried() {
    let tried: BTreeSet<&str> = WORDS.iter().map(|word| word.split_once('=').map_or(*word, |(name, _)| name)).collect();
    for word in step::words() {
        let tried = match word.act {
            _ if word.name.starts_with(['=', '-']) && WORDS.contains(&word.name) => true,
            Act::Program(..) => word.name == "--exec",
            _ => tried.contains(word.name),
        };
        assert!(tried, "{} is not tried", word.name);
    }
}

#[test]
fn as_root_and_as_an_ordinary_user() {
    needs!("root", "capsh");
    check(&[
        Context::new("root"),
        Context { user: Some(65534), ..Context::new("nobody") },
        Context::new("kept").after(&["--cap-uid=65534"]),
        Context::new("nothing permitted").after(&["--caps="]),
        Context::new("ambient").after(&["--inh=cap_kill,cap_chown", "--addamb=cap_kill,cap_chown"]),
        Context::new("strict").after(&["--caps=cap_setpcap,cap_kill=p", "--strict"]),
    ]);
}

#[test]
fn as_whoever_runs_this() {
    needs!("capsh");
    check(&[Context::new("me")]);
}

#[test]
fn in_a_user_namespace() {
    needs!("capsh", "unshare", "userns");
    let mut contexts = vec![Context { through: &["unshare", "-r"], ..Context::new("mapped to root") }];
    if have("root") {
        contexts.push(Context { through: &["unshare", "-U"], ..Context::new("not mapped") });
        let user = Some(65534);
        contexts.push(Context { through: &["unshare", "-r"], user, ..Context::new("nobody mapped to root") });
    }
    check(&contexts);
}

#[test]
fn in_a_root_without_proc_and_etc() {
    needs!("root", "capsh");
    let scratch = Scratch::new();
    let root = format!("--chroot={}", scratch.path().display());
    check(&[
        Context::new("empty root").after(&[&root]),
        Context::new("empty root, another user").after(&[&root, "--cap-uid=77"]),
    ]);
}

#[test]
fn with_securebits_locked_and_no_new_privs() {
    needs!("root", "capsh");
    check(&[
        Context::new("all locked").after(&["--secbits=0xef"]),
        Context::new("keep-caps locked off").after(&["--secbits=0x20"]),
        Context::new("keep-caps locked on").after(&["--secbits=0x30"]),
        Context::new("no fix-up").after(&["--secbits=0xc"]),
        Context::new("no ambient").after(&["--secbits=0xc0"]),
        Context::new("no-new-privs").after(&["--no-new-privs"]),
        Context::new("mode").after(&["--mode=PURE1E"]),
    ]);
}

#[test]
fn on_other_kernels() {
    needs!("root", "capsh");
    let with = |capabilities, ambient| Some(Kernel { capabilities, ambient });
    check(&[
        Context { kernel: with(44, true), ..Context::new("three more") },
        Context { kernel: with(44, true), ..Context::new("three more, quietly").after(&["--quiet"]) },
        Context { kernel: with(64, true), ..Context::new("all numbers") },
        Context { kernel: with(38, true), ..Context::new("three fewer") },
        Context { kernel: with(41, false), ..Context::new("no ambient set") },
    ]);
}
