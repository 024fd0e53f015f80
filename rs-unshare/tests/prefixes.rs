//! Every beginning of every long option, made from the options themselves.

use chain::testing::{Ran, bin, run};
use clap::ArgAction;

/// The long options that the original does not have.
const OURS: [&str; 3] = ["hostname", "trace", "explain"];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Takes {
    Nothing,
    Value,
    Optional,
}

fn options() -> Vec<(String, Takes)> {
    let command = rs_unshare::pages().remove(0).command;
    assert!(command.get_arguments().count() > 30);
    let takes = |arg: &clap::Arg| match arg.get_action() {
        ArgAction::Set | ArgAction::Append if arg.get_num_args().is_some_and(|n| n.min_values() == 0) => {
            Takes::Optional
        }
        ArgAction::Set | ArgAction::Append => Takes::Value,
        _ => Takes::Nothing,
    };
    command.get_arguments().filter_map(|arg| Some((arg.get_long()?.to_owned(), takes(arg)))).collect()
}

/// The options that `prefix` may stand for: the exact one, else those of the
/// original, else ours.
fn meant<'a>(options: &'a [(String, Takes)], prefix: &str) -> Vec<&'a (String, Takes)> {
    let all: Vec<_> = options.iter().filter(|(name, _)| name.starts_with(prefix)).collect();
    if let Some(exact) = all.iter().find(|(name, _)| name == prefix) {
        return vec![exact];
    }
    let theirs: Vec<_> = all.iter().copied().filter(|(name, _)| !OURS.contains(&name.as_str())).collect();
    if theirs.is_empty() { all } else { theirs }
}

fn ours(word: String) -> Ran {
    run(bin("rs-unshare"), [word])
}

/// What shows which option was understood, without doing anything: a value
/// too many, or one that is missing or wrong.
fn check(prefix: &str, (name, takes): &(String, Takes)) {
    let told = |ran: &Ran, text: String| {
        assert_eq!((ran.status, ran.stdout.as_str()), (1, ""), "--{prefix}: {}", ran.stderr);
        assert_eq!(ran.stderr.lines().next(), Some(format!("rs-unshare: {text}").as_str()), "--{prefix}");
        let pointer = "Try 'rs-unshare --help' for more information.";
        assert_eq!(ran.stderr.lines().nth(1), Some(pointer), "--{prefix}");
    };
    match takes {
        Takes::Nothing => told(&ours(format!("--{prefix}=x")), format!("option '--{name}' doesn't allow an argument")),
        Takes::Value => told(&ours(format!("--{prefix}")), format!("option '--{name}' requires an argument")),
        Takes::Optional => {
            // An empty value fails in each of them, in its own words; the
            // same words as of the whole name.
            let plain = |name: &str| {
                let ran = run(bin("rs-unshare"), ["--trace".to_owned(), format!("--{name}="), "true".to_owned()]);
                let calls = ran.stderr.lines().filter(|line| line.contains("unshare(") || line.contains("failed"));
                let text: Vec<String> =
                    calls.map(|line| line.chars().filter(|c| !c.is_ascii_digit()).collect()).collect();
                (ran.status, ran.stdout, text)
            };
            let whole = plain(name);
            assert_eq!(whole.0, 1, "--{name}= {whole:?}");
            assert_eq!(plain(prefix), whole, "--{prefix}");
        }
    }
}

/// The emulated machines take a second for each program, and read a command
/// line as this one does.
fn emulated() -> bool {
    std::env::var("RS_LANE").is_ok_and(|lane| lane.starts_with('v'))
}

#[test]
fn every_prefix_of_every_long_option() {
    if emulated() {
        return;
    }
    let options = options();
    let mut tried = std::collections::BTreeSet::new();
    let mut ambiguous = Vec::new();
    for (name, _) in &options {
        for end in 1..=name.len() {
            let prefix = &name[..end];
            if !tried.insert(prefix.to_owned()) {
                continue;
            }
            match meant(&options, prefix).as_slice() {
                [one] => check(prefix, one),
                several => {
                    ambiguous.push(prefix);
                    let names: Vec<String> = several.iter().map(|(name, _)| format!("'--{name}'")).collect();
                    let ran = ours(format!("--{prefix}"));
                    assert_eq!((ran.status, ran.stdout.as_str()), (1, ""), "--{prefix}");
                    assert!(ran.stderr.contains(&format!("option '--{prefix}' is ambiguous")), "{}", ran.stderr);
                    assert!(names.iter().all(|name| ran.stderr.contains(name)), "{}", ran.stderr);
                }
            }
        }
    }
    assert!(tried.len() > 200, "{} prefixes", tried.len());
    // What the specification lists by hand.
    for listed in ["m", "mo", "u", "k", "p", "map", "map-u", "map-g", "set", "setg", "mount-", "fo", "for", "c", "w"] {
        assert!(ambiguous.contains(&listed), "--{listed} is not ambiguous");
    }
    for one in ["h", "v", "i", "n", "t", "b", "r", "map-r", "us", "ki", "setu", "prop", "map-user", "mount", "fork"] {
        assert!(!ambiguous.contains(&one), "--{one} is ambiguous");
    }
}

#[test]
fn the_original_takes_and_refuses_the_same_beginnings() {
    chain::testing::needs!("unshare");
    if emulated() {
        return;
    }
    // Options of releases after 2.38 make more of them ambiguous.
    let later = ["forward-signals", "mount-binfmt", "load-interp", "map-subids", "owner", "clear-env", "whitelist-env"];
    let options = options();
    for (name, takes) in &options {
        if later.contains(&name.as_str()) || OURS.contains(&name.as_str()) || *takes == Takes::Optional {
            continue;
        }
        for end in 1..=name.len() {
            let prefix = &name[..end];
            if meant(&options, prefix).iter().any(|(name, _)| later.contains(&name.as_str())) {
                continue;
            }
            let word = if *takes == Takes::Nothing { format!("--{prefix}=x") } else { format!("--{prefix}") };
            let original = run("unshare", [word.clone()]);
            let line = |ran: &Ran| ran.stderr.lines().next().unwrap_or_default().replace("rs-unshare", "unshare");
            assert_eq!(line(&ours(word)), line(&original), "--{prefix}");
        }
    }
}
