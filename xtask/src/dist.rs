//! The static programs as they are shipped, and whether they may be.

use crate::{completions, man, musl, package, pages, target, top};
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a shipped program may weigh, in bytes. A tool is loaded at every
/// start of a container; rs-rootfs carries TLS and the archives' formats.
fn limit(name: &str) -> u64 {
    if name == "rs-rootfs" { 6_000_000 } else { 1_000_000 }
}

/// Builds for musl, checks each program, packs the archive.
pub(crate) fn dist() -> Result<()> {
    let Some(built) = musl::build()? else {
        let what =
            format!("neither rustup's target {} nor Debian's rustc-web, rust-web-src, musl-tools", musl::triple());
        ensure!(std::env::var_os("RS_MUST").is_none(), "this machine has {what}");
        println!("  skipped: this machine has {what}");
        return Ok(());
    };
    let name = format!("rs-chain-{}-{}", env!("CARGO_PKG_VERSION"), musl::triple());
    let folder = target().join("dist").join(&name);
    let _ = fs::remove_dir_all(&folder);
    let mut wrong = Vec::new();
    for file in programs(&built)? {
        let program = file.file_name().context("a program has a name")?.to_string_lossy().into_owned();
        let to = folder.join("bin").join(&program);
        package::copy(&file, &to)?;
        match judge(&to, &program) {
            Ok(size) => println!("  {program:<16} {size:>9} bytes"),
            Err(error) => wrong.push(format!("{program}: {error:#}")),
        }
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    for file in man::write(&folder.join("share/man/man1"))? {
        package::copy(&file, &file)?;
    }
    completions::write(&folder.join("share"))?;
    package::links(&folder)?;
    for file in ["README.md", "README.ja.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"] {
        package::copy(&top().join(file), &folder.join(file))?;
    }
    println!("  {}", package::archive(&folder)?.display());
    Ok(())
}

/// The tools among what cargo built, not the examples.
pub(crate) fn programs(built: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(built)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("rs-") && !name.contains('.') {
            files.push(path);
        }
    }
    files.sort();
    for page in pages::all() {
        ensure!(files.iter().any(|file| file.ends_with(page.name)), "{} was not built", page.name);
    }
    Ok(files)
}

/// A static program below its limit that runs where nothing else is.
fn judge(file: &Path, name: &str) -> Result<u64> {
    let size = fs::metadata(file)?.len();
    ensure!(size <= limit(name), "weighs {size} bytes, more than {}", limit(name));
    let output = Command::new("readelf").args(["--program-headers", "--dynamic"]).arg(file).output()?;
    let headers = String::from_utf8_lossy(&output.stdout);
    ensure!(!headers.contains("INTERP") && !headers.contains("NEEDED"), "is not static");
    let ran = Command::new(file).arg("--help").env_clear().output()?;
    ensure!(ran.status.success() && !ran.stdout.is_empty(), "--help ended with {}", ran.status);
    Ok(size)
}
