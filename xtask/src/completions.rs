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

/// Writes all of them below `folder`, as below `/usr/share`.
pub(crate) fn write(folder: &Path) -> Result<Vec<Completion>> {
    let mut written = Vec::new();
    for page in pages::all() {
        for name in pages::names(&page) {
            for (shell, place) in SHELLS {
                let mut bytes = Vec::new();
                generate(shell, &mut page.command.clone().name(name).bin_name(name), name, &mut bytes);
                let file = folder.join(place.replace("{}", name));
                fs::create_dir_all(file.parent().unwrap_or(folder))?;
                fs::write(&file, &bytes)?;
                written.push(Completion {
                    name,
                    shell,
                    text: String::from_utf8(bytes)?,
                    command: page.command.clone(),
                });
            }
        }
    }
    Ok(written)
}
