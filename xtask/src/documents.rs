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
    kind("translation of the README", readme::compare_translation());
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
    let files = man::write(&target().join("man"))?;
    let mut mistakes = Vec::new();
    for (file, page) in files.iter().zip(pages::all()) {
        let lint = process::Command::new("mandoc").args(["-T", "lint", "-W", "warning"]).arg(file).output()?;
        mistakes.extend(String::from_utf8_lossy(&lint.stdout).lines().map(str::to_owned));
        let text = std::fs::read_to_string(file)?.replace("\\-", "-");
        for option in all_options(&page.command) {
            if !text.contains(&option) {
                mistakes.push(format!("{}: says nothing of {option}", page.name));
            }
        }
    }
    Ok(mistakes)
}

/// Every option of the help is in each completion, and every shell that is
/// here can read its file.
fn complete() -> Result<Vec<String>> {
    let folder = target().join("completions");
    let mut mistakes = Vec::new();
    for completion in completions::write(&folder)? {
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
        if let Ok(read) = process::Command::new(&shell).arg("-n").arg(&file).output()
            && !read.status.success()
        {
            mistakes.push(format!("{shell}: {}: {}", file.display(), String::from_utf8_lossy(&read.stderr).trim()));
        }
    }
    Ok(mistakes)
}

/// Options that are shown, as they are typed, those of verbs too.
fn all_options(command: &Command) -> BTreeSet<String> {
    let typed = |arg: &Arg| {
        let long = arg.get_long().map(|long| format!("--{long}"));
        let short = arg.get_short().map(|short| format!("-{short}"));
        long.into_iter().chain(short).collect::<Vec<_>>()
    };
    let own = command.get_arguments().filter(|arg| !arg.is_hide_set() && !arg.is_positional()).flat_map(typed);
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
        let lines = help.lines().count();
        if lines > 40 {
            mistakes.push(format!("{}: the help has {lines} lines", page.name));
        }
        let wide = help
            .lines()
            .filter(|line| line.chars().count() > 80)
            .map(|line| format!("{}: too wide: {line}", page.name));
        mistakes.extend(wide);
        if help_of(&program, &["-h"]).is_ok_and(|short| short != help) {
            mistakes.push(format!("{}: -h and --help differ", page.name));
        }
        let mut shown = options_shown(&help);
        for verb in page.command.get_subcommands().filter(|verb| !verb.is_hide_set() && verb.get_name() != "help") {
            shown.extend(options_shown(&help_of(&program, &[verb.get_name(), "--help"])?));
        }
        let mut described = all_options(&page.command);
        // Those who read a help know how to ask for it.
        for help in ["-h", "--help"] {
            described.remove(help);
            shown.remove(help);
        }
        mistakes.extend(described.difference(&shown).map(|o| format!("{}: the help does not show {o}", page.name)));
        mistakes.extend(shown.difference(&described).map(|o| format!("{}: the page does not describe {o}", page.name)));
    }
    Ok(mistakes)
}

fn help_of(program: &Path, words: &[&str]) -> Result<String> {
    let words = if words.is_empty() { &["--help"] } else { words };
    let output = process::Command::new(program).args(words).output()?;
    if !output.status.success() {
        bail!("{} {}: {}", program.display(), words.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The options at the beginnings of the lines of a help text.
fn options_shown(help: &str) -> BTreeSet<String> {
    let begins = |line: &&str| line.starts_with("  ") && line.trim_start().starts_with('-');
    let first = |line: &str| line.trim_start().split("  ").next().unwrap_or_default().to_owned();
    let words = |part: String| part.split([' ', ',', '=', '[']).map(str::to_owned).collect::<Vec<_>>();
    let option =
        |word: &String| word.starts_with('-') && word.trim_start_matches('-').starts_with(char::is_alphanumeric);
    help.lines().filter(begins).map(first).flat_map(words).filter(option).collect()
}
