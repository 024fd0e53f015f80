//! `cgexec`: enter groups, become a program.

use super::usage;
use crate::group::attach::{Place, Who, places};
use crate::group::fork;
use crate::hierarchy::Host;
use crate::spec::parse_all;
use crate::status::{Error, NO_RULES, USAGE};
use crate::systemd;
use chain::{Page, Tool};
use clap::{CommandFactory, Parser, ValueHint};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

const TOOL: Tool = Tool::new("rs-cgexec", USAGE).additions(&["version", "fork"]);

/// Run a program in control groups
#[derive(Debug, Default, PartialEq, Parser)]
#[command(after_help = "Examples:
  Run a program under the limits of a group:
    cgexec -g cpu,memory:GROUP PROGRAM
  Start it right inside the group (cgroup v2, faster):
    cgexec --fork -g cpu,memory:GROUP PROGRAM")]
struct Cli {
    /// the group to enter, where its controllers are
    #[arg(short = 'g', value_name = "CONTROLLERS:PATH")]
    group: Vec<OsString>,
    /// accepted: only a rules daemon asks for it
    #[arg(short = 's', long = "sticky")]
    sticky: bool,
    /// end the idle process of a scope
    #[arg(short = 'r')]
    replace_idle: bool,
    /// ignore the default group of cgcreate -S
    #[arg(short = 'b')]
    ignore_default: bool,
    /// start the program as a child, born inside the group
    #[arg(long)]
    fork: bool,
    /// the program, and its arguments
    #[arg(value_name = "PROGRAM", trailing_var_arg = true, value_hint = ValueHint::CommandWithArguments)]
    program: Vec<OsString>,
}

/// The whole tool.
pub fn main() -> ExitCode {
    chain::run_usual(&TOOL, usual, run)
}

/// The options as nearly every caller writes them. `None`: clap is to read
/// them.
fn usual(words: &[OsString]) -> Option<Cli> {
    let mut cli = Cli::default();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        match word.as_bytes() {
            b"-g" => cli.group.push(rest.next().filter(|spec| !spec.is_empty())?.clone()),
            b"-b" => cli.ignore_default = true,
            b"-r" => cli.replace_idle = true,
            b"--fork" => cli.fork = true,
            [b'-', ..] | [] => return None,
            _ => {
                cli.program.push(word.clone());
                cli.program.extend(rest.cloned());
                return Some(cli);
            }
        }
    }
    None
}

fn run(cli: &Cli) -> Result<ExitCode, Error> {
    if cli.program.is_empty() {
        return Err(usage("missing PROGRAM"));
    }
    let specs = parse_all(&cli.group)?;
    if specs.is_empty() {
        return Err(no_rules());
    }
    let host = Host::mounted()?;
    let places = places(&host, &specs, !cli.ignore_default)?;
    if cli.fork {
        return fork::run(&places, &cli.program, cli.replace_idle);
    }
    places.iter().try_for_each(|place: &Place<'_>| place.attach(Who::Myself))?;
    if cli.replace_idle {
        for place in &places {
            systemd::replace_idle(&place.dir);
        }
    }
    match chain::exec(&cli.program)? {}
}

/// Without `-g` the rules of /etc/cgrules.conf would decide.
pub(super) fn no_rules() -> Error {
    let message = "rules files (/etc/cgrules.conf) are not supported: name the group with -g".to_owned();
    Error::Argument { message, status: NO_RULES }
}

/// What documents are made from.
pub(super) fn page() -> Page {
    Page {
        name: "rs-cgexec",
        original: Some("cgexec"),
        command: TOOL.command(Cli::command()),
        calls: &[
            ("openat", "opens the file of the group that takes processes"),
            ("write", "enters the group: its limits hold from here on"),
            ("rt_sigprocmask", "keeps signals until the child is there to get them (--fork)"),
            ("clone3", "starts the child right inside the v2 group (--fork)"),
            ("clone", "starts the child where there is no v2 group to be born in (--fork)"),
            ("kill", "hands a signal on to the child (--fork)"),
            ("execve", "becomes the program, which stays in the group"),
        ],
        sections: include_str!("../../man/rs-cgexec.roff"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn the_usual_words_mean_what_clap_reads() {
        for line in [
            "-g cpu:a true",
            "-g cpu:a -g :b/c --fork sh -g x --fork",
            "-b -r -g *:x sh -c -- true",
            "true",
            "-r true -h",
        ] {
            let words = words(line);
            let clap = Cli::try_parse_from(std::iter::once(OsString::from("cgexec")).chain(words.clone()));
            assert_eq!(usual(&words), Some(clap.expect(line)), "{line}");
        }
    }

    #[test]
    fn all_other_words_are_left_to_clap() {
        for line in [
            "",
            "-g",
            "-g cpu:a",
            "-gcpu:a true",
            "-g cpu:a -- true",
            "-s -g a:b true",
            "-br true",
            "--for true",
            "--trace -g a:b true",
            "-h",
            "--version",
            "- true",
            "-x true",
        ] {
            assert_eq!(usual(&words(line)), None, "{line}");
        }
        assert_eq!(usual(&["-g".into(), OsString::new(), "true".into()]), None);
        assert_eq!(usual(&[OsString::new()]), None);
    }
}
