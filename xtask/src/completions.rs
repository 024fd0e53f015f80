//! Completions, a file for each name and shell: bash and fish load them by
//! the name of the command, so a link without a file completes nothing.

use crate::pages;
use anyhow::Result;
use clap::Arg;
use clap::builder::PossibleValuesParser;
use clap_complete::{Shell, generate};
use std::fs;
use std::path::Path;

/// The shells, and where each looks for the file of `name`.
pub(crate) const SHELLS: [(Shell, &str); 3] = [
    (Shell::Bash, "bash-completion/completions/{}"),
    (Shell::Zsh, "zsh/site-functions/_{}"),
    (Shell::Fish, "fish/vendor_completions.d/{}.fish"),
];

/// One completion that was written.
pub(crate) struct Completion {
    pub(crate) name: &'static str,
    pub(crate) shell: Shell,
    pub(crate) text: String,
    pub(crate) command: clap::Command,
}

/// Writes those of the tools' own names below `folder`, as below `/usr/share`.
pub(crate) fn write(folder: &Path) -> Result<Vec<Completion>> {
    let own = pages::all().into_iter().map(|page| (page.name, page.command));
    each(folder, own)
}

/// Writes those of the originals' names, for which a file may be there already.
pub(crate) fn write_originals(folder: &Path) -> Result<Vec<Completion>> {
    let linked = pages::all().into_iter().filter_map(|page| Some((page.original?, page.command)));
    each(folder, linked)
}

fn each(folder: &Path, names: impl Iterator<Item = (&'static str, clap::Command)>) -> Result<Vec<Completion>> {
    let mut written = Vec::new();
    for (name, command) in names {
        written.append(&mut of(folder, name, &command)?);
    }
    Ok(written)
}

/// What an option takes, where the tool reads it in words of its own and clap
/// knows no list: the tool, the option, its values.
const VALUES: &[(&str, &str, &[&str])] = &[
    ("unshare", "propagation", &["private", "shared", "slave", "unchanged"]),
    ("unshare", "setgroups", &["allow", "deny"]),
    ("cgclassify", "g", CONTROLLERS),
    ("cgcreate", "g", CONTROLLERS),
    ("cgdelete", "g", CONTROLLERS),
    ("cgexec", "g", CONTROLLERS),
    ("cgget", "g", CONTROLLERS),
    ("lscgroup", "g", CONTROLLERS),
];

/// The controllers of both cgroup versions (cgroups(7)).
const CONTROLLERS: &[&str] = &[
    "blkio",
    "cpu",
    "cpuacct",
    "cpuset",
    "devices",
    "freezer",
    "hugetlb",
    "io",
    "memory",
    "misc",
    "net_cls",
    "net_prio",
    "perf_event",
    "pids",
    "rdma",
];

/// Writes the files of one name.
fn of(folder: &Path, name: &'static str, command: &clap::Command) -> Result<Vec<Completion>> {
    let mut written = Vec::new();
    for (shell, place) in SHELLS {
        let mut bytes = Vec::new();
        generate(shell, &mut described(name, shell, command), name, &mut bytes);
        let mut text = String::from_utf8(bytes)?;
        if shell == Shell::Bash {
            text = mended(name, &text);
        }
        let file = folder.join(place.replace("{}", name));
        fs::create_dir_all(file.parent().unwrap_or(folder))?;
        fs::write(&file, &text)?;
        written.push(Completion { name, shell, text, command: command.clone() });
    }
    Ok(written)
}

/// `command` with all that a completion can tell.
fn described(name: &'static str, shell: Shell, command: &clap::Command) -> clap::Command {
    let values = |arg: Arg| {
        let tool = name.strip_prefix("rs-").unwrap_or(name);
        let known = VALUES.iter().find(|(of, long, _)| *of == tool && is_called(&arg, long));
        known.map_or(arg.clone(), |(_, _, values)| arg.value_parser(PossibleValuesParser::new(*values)))
    };
    let teaching: Vec<Arg> =
        command.get_arguments().filter(|arg| matches!(arg.get_long(), Some("trace" | "explain"))).cloned().collect();
    // What every verb takes too.
    let verb = |verb: clap::Command| {
        let missing = teaching.iter().filter(|arg| verb.get_arguments().all(|own| own.get_id() != arg.get_id()));
        escaped(shell, verb.clone().args(missing))
    };
    escaped(shell, command.clone().name(name).bin_name(name).mut_args(values)).mut_subcommands(verb)
}

/// Whether `name` is the long or the short name of `arg`.
fn is_called(arg: &Arg, name: &str) -> bool {
    arg.get_long() == Some(name) || arg.get_short().is_some_and(|short| name.len() == 1 && name.starts_with(short))
}

/// In zsh a colon ends the name of a value; clap_complete leaves it as it is.
fn escaped(shell: Shell, command: clap::Command) -> clap::Command {
    command.mut_args(|arg| {
        let names: Vec<String> = arg.get_value_names().unwrap_or_default().iter().map(ToString::to_string).collect();
        if shell != Shell::Zsh || !names.iter().any(|name| name.contains(':')) {
            return arg;
        }
        arg.value_names(names.into_iter().map(|name| name.replace(':', "\\:")))
    })
}

/// clap_complete's bash, with two faults mended: the verbs of a name with a
/// hyphen have two spellings in it, and it does not know that bash makes
/// `--option=value` three words.
fn mended(name: &str, text: &str) -> String {
    let three = "prev=\"$3\"
    if [[ ${cur} == = ]]; then
        cur=
    elif [[ ${prev} == = ]]; then
        prev=${COMP_WORDS[COMP_CWORD-2]}
    fi
";
    text.replace(&name.replace('-', "__subcmd__"), &name.replace('-', "__")).replace("prev=\"$3\"\n", three)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_of_options_that_are_there() {
        let pages = pages::all();
        for (tool, option, values) in VALUES {
            let page = pages.iter().find(|page| page.name.strip_prefix("rs-") == Some(tool)).expect(tool);
            let described = described(page.name, Shell::Bash, &page.command);
            let known = described.get_arguments().find(|arg| is_called(arg, option)).expect(option);
            assert_eq!(known.get_possible_values().len(), values.len(), "{tool} {option}");
        }
    }
}
