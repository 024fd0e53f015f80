//! Settings that last: `$XDG_CONFIG_HOME/rs-rootfs/config.toml`.

use crate::platform::Platform;
use anyhow::{Context, bail};
use chain::SysError;
use chain::sys::durable::{Flock, Fsync, Rename, write_all_at};
use chain::sys::file::{At, FchmodAt, Fd, MkdirAt, OpenAt, UnlinkAt};
use chain::sys::{make, quietly};
use nix::errno::Errno;
use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use toml_edit::{DocumentMut, Item, TableLike, Value};

/// The keys there are; `mirrors.` is followed by a host.
pub const KEYS: [&str; 6] = ["default-source", "insecure", "jobs", "max-size", "mirrors.HOST", "platform"];
/// Links followed on the way to the file.
const LINKS_MAX: usize = 40;
const WHY: &str = "Settings are kept in the user's own folder for such";

/// Where the file is; `None` without a home folder.
pub fn path() -> Option<PathBuf> {
    let var = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || var("HOME").or_else(|| Some(chain::user::user_by_id(nix::unistd::geteuid().as_raw())?.home.into()));
    let folder = var("XDG_CONFIG_HOME").or_else(|| Some(home()?.join(".config")))?;
    Some(folder.join("rs-rootfs/config.toml"))
}

fn document() -> anyhow::Result<DocumentMut> {
    let Some(path) = path() else { return Ok(DocumentMut::new()) };
    let bad = |why: String| anyhow::anyhow!("cannot read {}: {why}", path.display());
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if crate::is_absent(&path, &error) => return Ok(DocumentMut::new()),
        Err(error) => return Err(bad(crate::reason(&error))),
    };
    text.parse().map_err(|error: toml_edit::TomlError| bad(error.message().to_owned()))
}

/// All settings, checked, in plain words.
///
/// # Errors
/// The file cannot be read, or holds what is no setting.
pub fn all() -> anyhow::Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    collect("", document()?.as_table(), &mut found)?;
    for (key, value) in &found {
        check(key, value)?;
    }
    Ok(found)
}

/// Tables within tables are one key with dots: `mirrors.docker.io`.
fn collect(prefix: &str, table: &dyn TableLike, found: &mut BTreeMap<String, String>) -> anyhow::Result<()> {
    for (name, item) in table.iter() {
        let key = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
        if let Some(inner) = item.as_table_like() {
            collect(&key, inner, found)?;
            continue;
        }
        let word = |value: &Value| match value {
            Value::String(text) => Some(text.value().clone()),
            Value::Integer(number) => Some(number.value().to_string()),
            Value::Boolean(truth) => Some(truth.value().to_string()),
            _ => None,
        };
        let text = match item.as_value() {
            Some(Value::Array(list)) => list.iter().map(word).collect::<Option<Vec<_>>>().map(|words| words.join(",")),
            Some(value) => word(value),
            None => None,
        };
        found.insert(key.clone(), text.with_context(|| format!("config: '{key}' has no plain value"))?);
    }
    Ok(())
}

/// One setting; `None` where it is not set.
///
/// # Errors
/// See [`all`]; an unknown key.
pub fn get(key: &str) -> anyhow::Result<Option<String>> {
    known(key)?;
    Ok(all()?.remove(key))
}

/// The other hosts to ask first for what is on `host`.
///
/// # Errors
/// See [`all`].
pub fn mirrors(host: &str) -> anyhow::Result<Vec<String>> {
    let list = all()?.remove(&format!("mirrors.{host}")).unwrap_or_default();
    Ok(list.split(',').map(str::trim).filter(|mirror| !mirror.is_empty()).map(str::to_owned).collect())
}

fn known(key: &str) -> anyhow::Result<()> {
    let mirror = key.strip_prefix("mirrors.").is_some_and(|host| !host.is_empty());
    if mirror || (KEYS.contains(&key) && key != "mirrors.HOST") {
        return Ok(());
    }
    bail!("config: unknown key '{key}'; there is: {}", KEYS.join(", "))
}

/// Bytes: a number, with `k`, `M`, `G`, `T` for powers of 1024.
pub fn bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

fn check(key: &str, value: &str) -> anyhow::Result<()> {
    known(key)?;
    let good = match key {
        "insecure" => matches!(value, "true" | "false"),
        "jobs" => value.parse::<u8>().is_ok_and(|jobs| (1..=64).contains(&jobs)),
        "max-size" => bytes(value).is_some(),
        "platform" => value.parse::<Platform>().is_ok(),
        "default-source" => !value.is_empty(),
        _ => value.split(',').all(|mirror| is_address(mirror.trim())),
    };
    if good { Ok(()) } else { bail!("config: '{}' is no value for {key}", value.escape_default()) }
}

/// `[http[s]://]HOST[:PORT][/PATH]`
fn is_address(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")).unwrap_or(text);
    !rest.is_empty()
        && !rest.starts_with('/')
        && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~:[]/".contains(&b))
        && !rest.contains("//")
}

/// Changes one setting; an empty value takes it away.
///
/// # Errors
/// An unknown key, a value that it cannot have, the kernel's reasons.
pub fn set(key: &str, value: &str) -> anyhow::Result<()> {
    known(key)?;
    if !value.is_empty() {
        check(key, value)?;
    }
    let path = followed(path().context("config: neither XDG_CONFIG_HOME nor HOME is set")?);
    let folder = path.parent().context("config: no folder")?;
    make_folders(folder)?;
    // Who changes another setting meanwhile waits: none is lost.
    let flags = libc::O_RDONLY | libc::O_DIRECTORY;
    let lock = make(&OpenAt { dir: At::Cwd, path: folder.as_os_str(), flags, mode: 0, why: WHY })?;
    make(&Flock { fd: Fd { fd: lock.as_fd(), path: folder }, operation: libc::LOCK_EX })?;
    let mut document = document()?;
    let value = match key {
        _ if value.is_empty() => None,
        "insecure" => Some((value == "true").into()),
        "jobs" => Some(value.parse::<i64>()?.into()),
        _ => Some(value.into()),
    };
    change(&mut document, key, value)?;
    save(&path, &document.to_string())
}

/// Gives `key` this value, or none, in every place where it stands.
fn change(document: &mut DocumentMut, key: &str, mut value: Option<Value>) -> anyhow::Result<()> {
    let mut places = Vec::new();
    find(document.as_table(), key, &[], &mut places);
    for place in places {
        let Some((name, tables)) = place.split_last() else { continue };
        let root: &mut dyn TableLike = document.as_table_mut();
        let table = tables.iter().try_fold(root, |table, name| table.get_mut(name)?.as_table_like_mut());
        let Some(table) = table else { continue };
        match (table.get_mut(name).and_then(Item::as_value_mut), value.take()) {
            (Some(old), Some(mut new)) => {
                *new.decor_mut() = old.decor().clone();
                *old = new;
            }
            _ => _ = table.remove(name),
        }
    }
    let Some(value) = value else { return Ok(()) };
    match key.strip_prefix("mirrors.") {
        Some(host) => {
            let mirrors = document.entry("mirrors").or_insert_with(toml_edit::table);
            let mirrors = mirrors.as_table_like_mut().context("config: 'mirrors' is no table")?;
            mirrors.insert(host, Item::Value(value));
        }
        None => _ = document.insert(key, Item::Value(value)),
    }
    Ok(())
}

/// Where `key` stands: `mirrors.docker.io` may be one key in a table, or
/// tables in each other, as the dots of TOML make them.
fn find(table: &dyn TableLike, key: &str, above: &[String], places: &mut Vec<Vec<String>>) {
    for (name, item) in table.iter() {
        let place = [above, &[name.to_owned()]].concat();
        let below = key.strip_prefix(name).and_then(|rest| rest.strip_prefix('.'));
        match (item.as_table_like(), below) {
            (None, _) if name == key => places.push(place),
            (Some(inner), Some(rest)) => find(inner, rest, &place, places),
            _ => {}
        }
    }
}

/// The file that `path` leads to: a link stays one, as with git config.
fn followed(mut path: PathBuf) -> PathBuf {
    for _ in 0..LINKS_MAX {
        let Ok(to) = std::fs::read_link(&path) else { break };
        path.pop();
        path.push(to);
    }
    path
}

fn make_folders(folder: &Path) -> anyhow::Result<()> {
    let missing: Vec<&Path> = folder.ancestors().take_while(|it| !it.as_os_str().is_empty() && !it.exists()).collect();
    for folder in missing.into_iter().rev() {
        match quietly(&MkdirAt { dir: At::Cwd, path: folder.as_os_str(), mode: 0o700, why: WHY }) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => bail!("cannot create directory {}: {}", folder.display(), chain::error::strerror(errno)),
        }
    }
    Ok(())
}

/// Puts `text` in the place of the file, with its permissions, or leaves all
/// as it was. Whoever does so has locked the folder.
fn save(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut own = path.as_os_str().to_owned();
    own.push(".new");
    let write = || -> Result<(), SysError> {
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC | libc::O_NOFOLLOW;
        let file = make(&OpenAt { dir: At::Cwd, path: &own, flags, mode: 0o600, why: WHY })?;
        if let Ok(about) = std::fs::metadata(path) {
            let mode = about.permissions().mode() & 0o777;
            make(&FchmodAt { dir: At::Cwd, path: &own, mode, why: "Who could read the settings still can" })?;
        }
        let fd = Fd { fd: file.as_fd(), path: Path::new(&own) };
        write_all_at(fd, text.as_bytes(), 0)?;
        make(&Fsync { fd })?;
        make(&Rename { dir: At::Cwd, from: &own, to: path.as_os_str(), flags: 0 })
    };
    let written = write();
    if written.is_err() {
        let _ = quietly(&UnlinkAt { dir: At::Cwd, path: &own, flags: 0, why: "The settings stay as they were" });
    }
    Ok(written?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_addresses() {
        assert_eq!(
            (bytes("5"), bytes("2k"), bytes("1GiB"), bytes("x"), bytes("")),
            (Some(5), Some(2048), Some(1 << 30), None, None)
        );
        assert!(is_address("http://h:5000/a") && is_address("[::1]:5000") && !is_address("ftp://h") && !is_address(""));
    }

    #[test]
    fn dots_in_hosts_need_no_quotes() {
        let text = "mirrors.docker.io = \"a\"\n[mirrors]\n";
        let document: DocumentMut =
            "mirrors.docker.io = \"a\"\nmirrors.\"h:5\" = [\"b\", \"c\"]\n".parse().expect("TOML");
        let mut found = BTreeMap::new();
        collect("", document.as_table(), &mut found).expect("plain values");
        assert_eq!(found["mirrors.docker.io"], "a", "{text}");
        assert_eq!(found["mirrors.h:5"], "b,c");
    }
}
