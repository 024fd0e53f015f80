//! Command lines: exact status, standard output and messages.
#![allow(clippy::disallowed_methods)]

mod common;

use chain::testing::{bin, run};
use common::{Stage, TOOLS};

#[test]
fn help_is_short_and_the_same_both_ways() {
    let stage = Stage::new("help");
    for tool in TOOLS {
        let ran = run(stage.links().join(tool), ["--help"]);
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{tool}");
        assert_eq!(run(stage.links().join(tool), ["-h"]).stdout, ran.stdout, "{tool}");
        assert!(ran.stdout.lines().count() <= 40, "{tool}: {}", ran.stdout);
        assert!(ran.stdout.lines().all(|line| line.chars().count() <= 80), "{tool}: {}", ran.stdout);
        assert!(ran.stdout.contains(&format!("Usage: {tool}")), "{tool}: {}", ran.stdout);
        assert!(ran.stdout.contains("Learning:"), "{tool}");
        let version = run(stage.links().join(tool), ["--version"]);
        assert_eq!(version.stdout, format!("{tool} (rs-{tool}) {}\n", env!("CARGO_PKG_VERSION")));
    }
}

#[test]
fn wrong_command_lines() {
    let stage = Stage::new("usage");
    for (line, status, message) in [
        ("cgcreate", 129, "cgcreate: missing -g <CONTROLLERS:PATH>"),
        ("cgcreate -g cpu", 129, "cgcreate: wrong group 'cpu': want CONTROLLERS:PATH"),
        ("cgcreate -g cpu:a x", 129, "cgcreate: unexpected operand 'x'"),
        ("cgcreate -g cpu:../a", 129, "cgcreate: '..' in the group's name '../a'"),
        ("cgcreate -d 77 -g cpu:a", 255, "cgcreate: wrong mode '77': want 3 or 4 octal digits"),
        ("cgcreate -a nosuchuser:x -g cpu:a", 129, "cgcreate: user 'nosuchuser' does not exist"),
        ("cgcreate -a root:nosuchgroup -g cpu:a", 129, "cgcreate: group 'nosuchgroup' does not exist"),
        ("cgcreate -a 4294967295: -g cpu:a", 129, "cgcreate: user '4294967295' does not exist"),
        ("cgcreate -t 0:4294967295 -g cpu:a", 129, "cgcreate: group '4294967295' does not exist"),
        ("cgcreate --i", 129, "cgcreate: unrecognized option '--i'"),
        (
            "cgcreate --t=1:2 -g cpu:a",
            129,
            "cgcreate: option '--t=1:2' is ambiguous; possibilities: '--task' '--tperm'",
        ),
        ("cgset", 129, "cgset: want either -r NAME=VALUE or --copy-from GROUP"),
        ("cgset -r cpu.shares x", 129, "cgset: wrong parameter 'cpu.shares': want NAME=VALUE"),
        ("cgset -r cpu.shares= x", 129, "cgset: wrong parameter 'cpu.shares=': want NAME=VALUE"),
        ("cgset -r tasks=1 x", 129, "cgset: wrong parameter 'tasks': want CONTROLLER.NAME"),
        ("cgset -r cpu.shares=1", 129, "cgset: missing GROUP"),
        ("cgset -r cpu.shares=1 -r cpu.shares=2 x", 90, "cgset: parameter 'cpu.shares' is set twice"),
        ("cgset --copy-from a --copy-from b x", 129, "cgset: --copy-from is given twice"),
        ("cgset -q", 129, "cgset: invalid option -- 'q'"),
        ("cgget", 129, "cgget: missing GROUP"),
        ("cgget -r tasks x", 91, "cgget: wrong parameter 'tasks': want CONTROLLER.NAME"),
        ("cgget -r a.b -a x", 129, "cgget: -r goes with neither -a nor -g"),
        ("cgget -m -r a.b x", 129, "cgget: -m and -c go with none of -r, -g and -a"),
        ("cgget -c -a", 129, "cgget: -m and -c go with none of -r, -g and -a"),
        ("cgget --va x", 129, "cgget: option '--va' is ambiguous; possibilities: '--values-only' '--variable'"),
        ("cgexec", 129, "cgexec: missing PROGRAM"),
        ("cgexec true", 99, "cgexec: rules files (/etc/cgrules.conf) are not supported: name the group with -g"),
        ("cgexec --bogus true", 129, "cgexec: unrecognized option '--bogus'"),
        ("cgexec -g", 129, "cgexec: option requires an argument -- 'g'"),
        ("cgclassify", 129, "cgclassify: missing PID"),
        ("cgclassify 1", 99, "cgclassify: rules files (/etc/cgrules.conf) are not supported: name the group with -g"),
        ("cgdelete", 129, "cgdelete: missing CONTROLLERS:PATH"),
        ("cgdelete cpu", 129, "cgdelete: wrong group 'cpu': want CONTROLLERS:PATH"),
        ("lscgroup cpu", 255, "lscgroup: wrong group 'cpu': want CONTROLLERS:PATH"),
        ("lssubsys --a", 129, "lssubsys: option '--a' is ambiguous; possibilities: '--all-mount-points' '--all'"),
        ("uuidgen -m", 1, "uuidgen: --md5 or --sha1 requires --namespace argument"),
        ("uuidgen -m -N x -n @DNS", 1, "uuidgen: unknown namespace alias: '@DNS'"),
        ("uuidgen -m -N x -n @", 1, "uuidgen: invalid uuid for namespace: '@'"),
        ("uuidgen -C x", 1, "uuidgen: invalid count argument: 'x'"),
    ] {
        let ran = stage.sh(line);
        assert_eq!((ran.status, ran.stdout.as_str()), (status, ""), "{line}: {}", ran.stderr);
        assert_eq!(ran.stderr.lines().next(), Some(message), "{line}");
    }
}

#[test]
fn every_status_of_the_manual() {
    // Those that need no group; the others are in parity.cases and v2.cases.
    let stage = Stage::new("status");
    for (line, status) in [
        ("cgcreate -g bogus:x", 91),
        ("cgset -r bogus.x=1 x", 84),
        ("cgget -r bogus.x x", 96),
        ("cgget -g bogus:x", 96),
        ("cgexec -g bogus:x true", 87),
        ("cgclassify -g bogus:x 1", 1),
        ("cgclassify -g bogus:x", 0),
        ("cgclassify -g bogus:x a", 2),
        ("cgclassify -g cpu:x ''", 1),
        ("cgclassify -g cpu:x ' 0'", 1),
        ("cgclassify -g cpu:x '5 '", 2),
        ("cgclassify -g cpu:x -- -5", 1),
        ("cgclassify -g cpu:x 4294967296", 1),
        ("POSIXLY_CORRECT=1 lssubsys cpu -q", 0),
        ("cgdelete bogus:x", 93),
        ("lscgroup bogus:x", 93),
        ("lssubsys bogus", 0),
        ("cgget -nv", 0),
    ] {
        assert_eq!(stage.sh(line).status, status, "{line}");
    }
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    for (tool, args, status) in [
        ("rs-uuidgen", &[][..], 1),
        ("rs-cgget", &["-m"][..], 93),
        ("rs-lscgroup", &[][..], 93),
        ("rs-lssubsys", &["-a"][..], 93),
        ("rs-cgset", &["--help"][..], 129),
    ] {
        let command = format!("{} {} >/dev/full", bin(tool).display(), args.join(" "));
        let ran = run("sh", ["-c", &command]);
        // A pure v2 host has nothing to list.
        let listed = tool != "rs-lssubsys" || !run(bin(tool), args.iter()).stdout.is_empty();
        assert_eq!(ran.status, if listed { status } else { 0 }, "{tool}: {}", ran.stderr);
        assert!(!listed || ran.stderr.contains("No space left"), "{tool}: {}", ran.stderr);
    }
}

#[test]
fn abbreviations_of_the_originals() {
    let stage = Stage::new("prefix");
    for (tool, option) in [
        ("cgcreate", "admin"),
        ("cgcreate", "task"),
        ("cgcreate", "dperm"),
        ("cgcreate", "fperm"),
        ("cgcreate", "tperm"),
        ("cgset", "rule"),
        ("cgset", "copy-from"),
        ("cgget", "variable"),
        ("cgget", "all"),
        ("cgget", "values-only"),
        ("cgexec", "sticky"),
        ("cgclassify", "sticky"),
        ("cgclassify", "cancel-sticky"),
        ("cgdelete", "recursive"),
        ("cgdelete", "group"),
        ("lscgroup", "group"),
        ("lssubsys", "mount-points"),
        ("lssubsys", "hierarchies"),
    ] {
        for end in 1..=option.len() {
            let word = format!("--{}", &option[..end]);
            let said = stage.sh(&format!("{tool} {word}")).stderr;
            assert!(!said.contains("unrecognized"), "{tool} {word}: {said}");
            let ambiguous = matches!(
                (tool, &option[..end]),
                ("cgcreate", "t") | ("cgget", "v" | "va") | ("lssubsys" | "cgdelete" | "lscgroup", "h")
            );
            assert_eq!(said.contains("ambiguous"), ambiguous, "{tool} {word}: {said}");
        }
    }
}
