//! Whether the documents are true: a document that promises what the code
//! does not do is an error like any other.

use crate::{completions, man, pages, readme, target, top};
use anyhow::{Result, bail};
use clap::{Arg, Command};
use std::collections::BTreeSet;
use std::path::Path;
use std::process;

/// Checks all of them, prints a line for each kind, lists every mistake.
pub(crate) fn check() -> Result<()> {
    let mut mistakes = Vec::new();
    let mut kind = |name: &str, found: Result<Vec<String>>| {
        let found = found.unwrap_or_else(|error| vec![format!("{error:#}")]);
        println!("  {name}: {}", if found.is_empty() { "ok".to_owned() } else { format!("{} mistakes", found.len()) });
        mistakes.extend(found.into_iter().map(|mistake| format!("{name}: {mistake}")));
    };
    kind("man pages", man_pages());
    kind("completions", complete());
    kind("help", helps());
    kind("paths in CONTRIBUTING", contributing());
    kind("commands of the README", readme::run_blocks());
    kind("translations", readme::compare_translations());
    if !mistakes.is_empty() {
        bail!("the documents are not true:\n{}", mistakes.join("\n"));
    }
    Ok(())
}

/// Every path of CONTRIBUTING.md is there, at the top or in some member.
fn contributing() -> Result<Vec<String>> {
    let text = std::fs::read_to_string(top().join("CONTRIBUTING.md"))?;
    let mut folders = vec![top()];
    for entry in std::fs::read_dir(top())? {
        folders.push(entry?.path());
    }
    let is_path = |word: &String| word.contains('/') && !word.contains([' ', ':']) && !word.starts_with('.');
    let missing = |word: &String| !folders.iter().any(|folder| folder.join(word).exists());
    Ok(readme::in_code(&text).into_iter().filter(is_path).filter(missing).map(|word| format!("no {word}")).collect())
}

/// mandoc's own opinion, and an entry for each option.
fn man_pages() -> Result<Vec<String>> {
    let folder = target().join("man");
    let mut mistakes = Vec::new();
    for page in pages::all() {
        let file = match man::write_one(&folder, &page) {
            Ok(file) => file,
            Err(error) => {
                mistakes.push(format!("{error:#}"));
                continue;
            }
        };
        let lint = process::Command::new("mandoc").args(["-T", "lint", "-W", "warning"]).arg(&file).output()?;
        mistakes.extend(String::from_utf8_lossy(&lint.stdout).lines().map(str::to_owned));
        let text = std::fs::read_to_string(file)?.replace("\\-", "-");
        let unsaid = all_options(&page.command).into_iter().filter(|option| !text.contains(option));
        mistakes.extend(unsaid.map(|option| format!("{}: says nothing of {option}", page.name)));
    }
    Ok(mistakes)
}

/// Every option of the help is in each completion, and every shell that is
/// here can read its file.
fn complete() -> Result<Vec<String>> {
    let folder = target().join("completions");
    let mut mistakes = Vec::new();
    let mut all = completions::write(&folder)?;
    all.append(&mut completions::write_originals(&folder)?);
    for completion in all {
        let shell = completion.shell.to_string();
        for option in all_options(&completion.command) {
            let written = match (shell.as_str(), option.strip_prefix("--")) {
                ("fish", Some(long)) => format!("-l {long}"),
                ("fish", None) => format!("-s {}", option.trim_start_matches('-')),
                _ => option.clone(),
            };
            if !completion.text.contains(&written) {
                mistakes.push(format!("{shell}: {} lacks {option}", completion.name));
            }
        }
        let place = completions::SHELLS.iter().find(|(shell, _)| *shell == completion.shell).map_or("", |(_, p)| p);
        let file = folder.join(place.replace("{}", completion.name));
        if shell == "bash" {
            mistakes.extend(unanswered(&file, completion.name, &completion.command)?);
        }
        if let Ok(read) = process::Command::new(&shell).arg("-n").arg(&file).output()
            && !read.status.success()
        {
            mistakes.push(format!("{shell}: {}: {}", file.display(), String::from_utf8_lossy(&read.stderr).trim()));
        }
    }
    Ok(mistakes)
}

/// What bash, asked, does not give: the options of a command and of each of its
/// verbs, and the values of an option after `=`, which bash makes a word.
fn unanswered(file: &Path, name: &str, command: &Command) -> Result<Vec<String>> {
    let mut mistakes = Vec::new();
    let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set() && verb.get_name() != "help");
    let own: BTreeSet<String> = command.get_arguments().filter(|arg| !arg.is_hide_set()).flat_map(typed).collect();
    let line = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut lines = vec![(line(&[name, "-"]), own)];
    lines.extend(verbs.map(|verb| (line(&[name, verb.get_name(), "-"]), all_options(verb))));
    for arg in command.get_arguments().filter(|arg| !arg.is_hide_set() && !arg.is_positional()) {
        let values = arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect::<BTreeSet<_>>();
        if let Some(option) = typed(arg).into_iter().next()
            && arg.get_action().takes_values()
            && !values.is_empty()
        {
            lines.push((vec![name.to_owned(), option, "=".to_owned(), String::new()], values));
        }
    }
    for (words, wanted) in lines {
        let answer = process::Command::new("bash").args(["-c", ASK, "bash"]).arg(file).args(&words).output()?;
        let given: BTreeSet<String> = String::from_utf8_lossy(&answer.stdout).lines().map(str::to_owned).collect();
        let line = words.join(" ");
        mistakes.extend(wanted.difference(&given).map(|word| format!("bash: '{line}' is not completed to {word}")));
    }
    Ok(mistakes)
}

/// Prints the completions of a line, whose words follow the file.
const ASK: &str = r#". "$1"
shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
how=$(complete -p "$1") how=${how##*-F }
"${how%% *}" "$1" "${@: -1}" "${@: -2:1}" && printf '%s\n' "${COMPREPLY[@]}""#;

/// An option as it is typed: `--long`, `-s`.
fn typed(arg: &Arg) -> Vec<String> {
    let long = arg.get_long().map(|long| format!("--{long}"));
    let short = arg.get_short().map(|short| format!("-{short}"));
    if arg.is_positional() { Vec::new() } else { long.into_iter().chain(short).collect() }
}

/// Options that are shown, as they are typed, those of verbs too.
fn all_options(command: &Command) -> BTreeSet<String> {
    let own = command.get_arguments().filter(|arg| !arg.is_hide_set()).flat_map(typed);
    let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set()).flat_map(all_options);
    own.chain(verbs).collect()
}

/// The built programs' help: a screen at most, every option that the page
/// describes and no other.
fn helps() -> Result<Vec<String>> {
    let mut mistakes = Vec::new();
    for page in pages::all() {
        let program = target().join("debug").join(page.name);
        let help = help_of(&program, &[])?;
        if help_of(&program, &["-h"]).is_ok_and(|short| short != help) {
            mistakes.push(format!("{}: -h and --help differ", page.name));
        }
        let mut helps = vec![help];
        for verb in page.command.get_subcommands().filter(|verb| !verb.is_hide_set() && verb.get_name() != "help") {
            helps.push(help_of(&program, &[verb.get_name(), "--help"])?);
        }
        mistakes.extend(helps.iter().flat_map(|help| layout(help)).map(|mistake| format!("{}: {mistake}", page.name)));
        let ending = format!("{}(1)", page.name);
        if !helps[0].contains("xample") || !helps[0].lines().next_back().is_some_and(|last| last.contains(&ending)) {
            mistakes.push(format!("{}: the help does not end with an example and the man page", page.name));
        }
        let described = all_options(&page.command);
        let named: BTreeSet<String> = helps.iter().flat_map(|help| options_named(help)).collect();
        let listed: BTreeSet<String> = helps.iter().flat_map(|help| options_listed(help)).collect();
        // Those who read a help know how to ask for it.
        let other = |option: &&String| !["-h", "--help"].contains(&option.as_str());
        let hidden = described.difference(&named).filter(other);
        mistakes.extend(hidden.map(|option| format!("{}: the help does not show {option}", page.name)));
        let unsaid = listed.difference(&described).filter(other);
        mistakes.extend(unsaid.map(|option| format!("{}: the page does not describe {option}", page.name)));
    }
    Ok(mistakes)
}

/// What of a help does not fit a screen.
fn layout(help: &str) -> Vec<String> {
    let lines = help.lines().count();
    let long = (lines > 40).then(|| format!("a help of {lines} lines: {help}"));
    let wide = help.lines().filter(|line| line.chars().count() > 80);
    long.into_iter().chain(wide.map(|line| format!("too wide: {line}"))).collect()
}

fn help_of(program: &Path, words: &[&str]) -> Result<String> {
    let words = if words.is_empty() { &["--help"] } else { words };
    let output = process::Command::new(program).args(words).output()?;
    if !output.status.success() {
        bail!("{} {}: {}", program.display(), words.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The options that a help text names, but for those of its examples.
fn options_named(help: &str) -> BTreeSet<String> {
    help.lines().filter(|line| line.starts_with(' ')).flat_map(options).collect()
}

/// The options that it lists: of those in a column of their own.
fn options_listed(help: &str) -> BTreeSet<String> {
    let table = help.lines().filter(|line| line.starts_with(' '));
    let columns = table.flat_map(|line| line.split("  ")).map(str::trim_start);
    columns.filter(|column| column.starts_with('-')).flat_map(options).collect()
}

fn options(text: &str) -> impl Iterator<Item = String> {
    let words = text.split(|c: char| c.is_whitespace() || ",=[]()".contains(c));
    words.filter(|word| is_option(word)).map(str::to_owned)
}

/// `-x` or `--word`.
fn is_option(word: &str) -> bool {
    let name = |c: char| c.is_ascii_alphanumeric() || c == '-';
    match word.strip_prefix("--") {
        Some(long) => long.starts_with(|c: char| c.is_ascii_alphanumeric()) && long.chars().all(name),
        None => word.len() == 2 && word.starts_with('-') && word.ends_with(|c: char| c.is_ascii_alphanumeric()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_a_help_in_columns() {
        let help = "Usage: x -a\n -m, --mount[=FILE]   mounts  -p X   (implies --fork)\nExample: x -qr --no\n";
        assert_eq!(options_named(help).into_iter().collect::<Vec<_>>(), ["--fork", "--mount", "-m", "-p"]);
        assert_eq!(options_listed(help).into_iter().collect::<Vec<_>>(), ["--mount", "-m", "-p"]);
    }
}
