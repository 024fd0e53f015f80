//! The packages: a Debian package, and the archive of static programs.

use crate::{completions, dist, man, pages, target, top};
use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Copies `from` to `to` and gives it the mode that a package's file has.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to.parent().unwrap_or(to))?;
    if from != to {
        fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    }
    let program = fs::metadata(from)?.permissions().mode() & 0o111 != 0;
    fs::set_permissions(to, fs::Permissions::from_mode(if program { 0o755 } else { 0o644 }))?;
    Ok(())
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", command.get_program().display()))?;
    ensure!(status.success(), "{} ended with {status}", command.get_program().display());
    Ok(())
}

/// When the last commit was made, in git's `format` (`%ct` seconds, `%cs` a
/// day): packages of one commit are equal. Outside of a clone, the epoch.
pub(crate) fn date(format: &str) -> String {
    let output = Command::new("git").args(["log", "-1"]).arg(format!("--format={format}")).current_dir(top()).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    match (text.as_str(), format) {
        ("", "%cs") => "1970-01-01".to_owned(),
        ("", _) => "0".to_owned(),
        _ => text,
    }
}

/// Packs `folder` beside itself, with its SHA-256, the same each time.
pub(crate) fn archive(folder: &Path) -> Result<PathBuf> {
    let parent = folder.parent().context("a folder to pack to")?;
    let name = folder.file_name().context("a name")?.to_string_lossy().into_owned();
    let file = parent.join(format!("{name}.tar.gz"));
    let tar = "tar --sort=name --mtime=@$3 --owner=0 --group=0 --numeric-owner -C \"$1\" -c \"$2\" | gzip -9n >\"$4\"";
    run(Command::new("sh").args(["-ec", tar, "sh"]).arg(parent).arg(&name).arg(date("%ct")).arg(&file))?;
    let digest = Sha256::digest(fs::read(&file)?);
    let mut sum = digest.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    let _ = writeln!(sum, "  {name}.tar.gz");
    fs::write(parent.join("SHA256SUMS"), sum)?;
    Ok(file)
}

/// Builds `rs-chain_VERSION_ARCH.deb`: the tools under their own names, and in
/// a folder of its own, which nobody has in PATH unasked, links under the
/// originals' names. Nothing of another package is replaced.
pub(crate) fn deb() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let build = ["build", "--quiet", "--release", "--locked", "--workspace", "--bins", "--exclude", "xtask"];
    run(Command::new(cargo).args(build).current_dir(top()))?;
    let output = Command::new("dpkg").arg("--print-architecture").output().context("cannot start dpkg")?;
    let architecture = String::from_utf8(output.stdout)?.trim().to_owned();
    let version = env!("CARGO_PKG_VERSION");
    let root = target().join("deb");
    let _ = fs::remove_dir_all(&root);
    for file in dist::programs(&target().join("release"))? {
        copy(&file, &root.join("usr/bin").join(file.file_name().context("a name")?))?;
    }
    documents(&root)?;
    links(&root.join("usr"))?;
    let control = root.join("DEBIAN/control");
    fs::create_dir_all(root.join("DEBIAN"))?;
    fs::write(&control, include_str!("../control").replace("@VERSION@", version).replace("@ARCH@", &architecture))?;
    let file = target().join("dist").join(format!("rs-chain_{version}_{architecture}.deb"));
    fs::create_dir_all(target().join("dist"))?;
    let mut pack = Command::new("dpkg-deb");
    pack.env("SOURCE_DATE_EPOCH", date("%ct")).args(["--root-owner-group", "--build"]).arg(&root).arg(&file);
    run(pack.stdout(std::process::Stdio::null()))?;
    Ok(file)
}

fn documents(root: &Path) -> Result<()> {
    let share = root.join("usr/share");
    for file in man::write(&share.join("man/man1"))? {
        run(Command::new("gzip").args(["-9n"]).arg(file))?;
    }
    completions::write(&share)?;
    let zsh = share.join("zsh/vendor-completions");
    fs::rename(share.join("zsh/site-functions"), &zsh)
        .or_else(|error| if zsh.exists() { Ok(()) } else { Err(error) })?;
    let doc = share.join("doc/rs-chain");
    copy(&top().join("xtask/copyright"), &doc.join("copyright"))?;
    copy(&top().join("CHANGELOG.md"), &doc.join("changelog"))?;
    run(Command::new("gzip").arg("-9n").arg(doc.join("changelog")))?;
    copy(&top().join("xtask/apparmor"), &root.join("etc/apparmor.d/rs-unshare"))?;
    fs::create_dir_all(root.join("DEBIAN"))?;
    fs::write(root.join("DEBIAN/conffiles"), "/etc/apparmor.d/rs-unshare\n")?;
    Ok(())
}

/// Below `prefix`, the links under the originals' names, in a folder of their
/// own that holds their pages and completions too: nothing there can be in the
/// way of the originals' own.
pub(crate) fn links(prefix: &Path) -> Result<()> {
    let own = prefix.join("lib/rs-chain");
    let (folder, manual) = (own.join("bin"), own.join("share/man/man1"));
    fs::create_dir_all(&folder)?;
    fs::create_dir_all(&manual)?;
    for page in pages::all() {
        if let Some(original) = page.original {
            symlink(Path::new("../../../bin").join(page.name), folder.join(original))?;
            fs::write(manual.join(format!("{original}.1")), man::link(&page))?;
        }
    }
    // Only the link: most of what docker's page and completions say is not ours.
    symlink("../../../bin/rs-rootfs", folder.join("docker"))?;
    completions::write_originals(&own.join("share")).map(drop)
}
