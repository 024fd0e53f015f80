//! Man pages: what clap knows, with the hand-written sections between.

use crate::{package, pages};
use anyhow::{Context, Result, ensure};
use chain::Page;
use clap::Command;
use clap_mangen::Man;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// The hand-written sections, in their order on the page, and whether every
/// tool has them.
const BY_HAND: [(&str, bool); 7] = [
    ("SYNOPSIS", true),
    ("EXIT STATUS", true),
    ("ENVIRONMENT", false),
    ("FILES", false),
    ("EXAMPLES", true),
    ("DIFFERENCES", true),
    ("SEE ALSO", true),
];

/// Writes a page for each tool to `folder`, and gives the files.
pub(crate) fn write(folder: &Path) -> Result<Vec<PathBuf>> {
    pages::all().iter().map(|page| write_one(folder, page)).collect()
}

/// Writes the page of one tool.
pub(crate) fn write_one(folder: &Path, page: &Page) -> Result<PathBuf> {
    let text = page_text(page).with_context(|| format!("the man page of {}", page.name))?;
    fs::create_dir_all(folder)?;
    let file = folder.join(format!("{}.1", page.name));
    fs::write(&file, text)?;
    Ok(file)
}

/// A page that says only where the tool's own is, for a link's name.
pub(crate) fn link(page: &Page) -> String {
    format!(".so man1/{}.1\n", page.name)
}

fn page_text(page: &Page) -> Result<String> {
    let sections = sections(page.sections)?;
    let command = page.command.clone().name(page.name).display_name(page.name);
    let version = env!("CARGO_PKG_VERSION");
    let date = package::date("%cs");
    let mut text = format!(".TH {} 1 {date} \"rs-chain {version}\" \"User Commands\"\n", page.name.to_uppercase());
    let man = Man::new(command.clone());
    text += &generated(|out| man.render_name_section(out))?;
    let by_hand = |name: &str| sections.iter().find(|(heading, _)| heading == name).map(|(_, body)| body.as_str());
    text += by_hand("SYNOPSIS").unwrap_or_default();
    text += &generated(|out| man.render_description_section(out))?;
    text += &options(&man, &command)?;
    // A tool's own sections, which no other has.
    let own = |heading: &str| BY_HAND.iter().all(|(name, _)| *name != heading);
    text.extend(sections.iter().filter(|(heading, _)| own(heading)).map(|(_, body)| body.as_str()));
    text += &calls(page);
    for (name, _) in &BY_HAND[1..] {
        text += by_hand(name).unwrap_or_default();
    }
    Ok(text)
}

/// The hand-written text by heading, each with its heading's line.
fn sections(text: &str) -> Result<Vec<(String, String)>> {
    let mut sections: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix(".SH ") {
            sections.push((heading.trim().trim_matches('"').to_owned(), String::new()));
        }
        match sections.last_mut() {
            Some((_, body)) => body.extend([line, "\n"]),
            None => ensure!(line.starts_with(".\\\"") || line.is_empty(), "text before the first heading: {line}"),
        }
    }
    for (name, needed) in BY_HAND {
        let count = sections.iter().filter(|(heading, _)| heading == name).count();
        ensure!(count == 1 || count == 0 && !needed, "{count} sections {name}");
    }
    Ok(sections)
}

/// What `render` writes, without the definitions that it repeats each time.
fn generated(render: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) -> Result<String> {
    let mut bytes = Vec::new();
    render(&mut bytes)?;
    // A value's name is told by its letters; it needs no brackets too.
    let text = String::from_utf8(bytes)?.replace("\\*(Aq", "'").replace("\\fI<", "\\fI").replace(">\\fR", "\\fR");
    let kept = text.lines().filter(|line| !line.starts_with(".ie ") && !line.starts_with(".el "));
    Ok(kept.fold(String::new(), |text, line| text + line + "\n"))
}

/// OPTIONS; of a tool with verbs also COMMANDS, each with its own.
fn options(man: &Man, command: &Command) -> Result<String> {
    let mut text = generated(|out| man.render_options_section(out))?;
    let verbs: Vec<&Command> =
        command.get_subcommands().filter(|verb| !verb.is_hide_set() && verb.get_name() != "help").collect();
    if !verbs.is_empty() {
        text += ".SH COMMANDS\n";
    }
    for verb in verbs {
        let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(text, ".SS {}\n{about}", verb.get_name());
        let own = generated(|out| Man::new(verb.clone()).render_options_section(out))?;
        text += &own.replace(".SH OPTIONS\n", "");
    }
    Ok(text)
}

/// SYSTEM CALLS: what the tool asks of the kernel, a sentence each.
fn calls(page: &Page) -> String {
    let mut text = String::from(".SH \"SYSTEM CALLS\"\n");
    for (call, why) in page.calls {
        let (first, rest) = why.split_at(why.chars().next().map_or(0, char::len_utf8));
        let why = format!("{}{rest}.", first.to_uppercase()).replace('-', "\\-");
        let _ = writeln!(text, ".TP\n\\fB{call}\\fR(2)\n{why}");
    }
    text
}
