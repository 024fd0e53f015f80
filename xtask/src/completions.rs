//! Completions, a file for each name and shell: bash and fish load them by
//! the name of the command, so a link without a file completes nothing.

use crate::pages;
use anyhow::Result;
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

/// Writes the files of one name.
fn of(folder: &Path, name: &'static str, command: &clap::Command) -> Result<Vec<Completion>> {
    let mut written = Vec::new();
    for (shell, place) in SHELLS {
        let mut bytes = Vec::new();
        generate(shell, &mut command.clone().name(name).bin_name(name), name, &mut bytes);
        let file = folder.join(place.replace("{}", name));
        fs::create_dir_all(file.parent().unwrap_or(folder))?;
        fs::write(&file, &bytes)?;
        written.push(Completion { name, shell, text: String::from_utf8(bytes)?, command: command.clone() });
    }
    Ok(written)
}
