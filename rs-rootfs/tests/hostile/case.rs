//! What a case is, and how it is checked.

use chain::testing::{Scratch, bin};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How a case must end.
pub(crate) enum Ends {
    /// Status 1, these words in the message, no DIR.
    Refused(&'static str),
    /// Status 0, and what `holds` reads.
    Made(&'static [&'static str]),
}

/// What is unpacked.
pub(crate) enum From {
    /// A tar, from a file.
    Tar(Vec<u8>),
    /// Layers of an image.
    Layers(Vec<Vec<u8>>),
    /// A folder that this makes, and the word for it, `{}` being the folder.
    Folder(Box<dyn Fn(&Path)>, &'static str),
}

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) from: From,
    pub(crate) options: &'static [&'static str],
    pub(crate) ends: Ends,
}

pub(crate) fn refused(name: &'static str, tar: Vec<u8>, words: &'static str) -> Case {
    Case { name, from: From::Tar(tar), options: &[], ends: Ends::Refused(words) }
}

pub(crate) fn made(name: &'static str, tar: Vec<u8>, holds: &'static [&'static str]) -> Case {
    Case { name, from: From::Tar(tar), options: &[], ends: Ends::Made(holds) }
}

pub(crate) fn layers(name: &'static str, layers: Vec<Vec<u8>>, holds: &'static [&'static str]) -> Case {
    Case { name, from: From::Layers(layers), options: &[], ends: Ends::Made(holds) }
}

pub(crate) fn layers_refused(name: &'static str, layers: Vec<Vec<u8>>, words: &'static str) -> Case {
    Case { name, from: From::Layers(layers), options: &[], ends: Ends::Refused(words) }
}

/// Runs all; panics with all that went wrong.
pub(crate) fn check(cases: Vec<Case>) {
    let all = cases.len();
    let wrong: Vec<String> =
        cases.into_iter().filter_map(|case| run(&case).err().map(|why| format!("{}: {why}", case.name))).collect();
    assert!(wrong.is_empty(), "{} of {all} cases:\n{}", wrong.len(), wrong.join("\n"));
}

/// The tool under limits that no archive may break: 20 seconds, 200 MB of
/// memory (setrlimit(2), RLIMIT_DATA), 400 MB of addresses.
fn tool(scratch: &Scratch, options: &[&str], source: &OsStr) -> std::process::Output {
    let script = "ulimit -v 400000; ulimit -d 200000; exec timeout 20 \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(bin("rs-rootfs")).args(["unpack", "--quiet"]).args(options);
    command.arg(source).arg(scratch.join("in/DIR")).stdin(Stdio::null());
    command.output().expect("sh starts")
}

/// Things around DIR that no archive may reach: in the folder around it, and
/// at an absolute path that archives name.
fn surroundings(scratch: &Scratch) {
    fs::create_dir(scratch.join("in")).expect("new");
    fs::create_dir(scratch.join("out")).expect("new");
    for name in ["in/sentinel", "out/sentinel", "sentinel"] {
        fs::write(scratch.join(name), "untouched").expect("new");
        fs::set_permissions(scratch.join(name), fs::Permissions::from_mode(0o600)).expect("ours");
    }
    symlink("sentinel", scratch.join("in/link")).expect("new");
}

/// Path, type and mode, size, contents of all below, without DIR and source.
fn picture(scratch: &Scratch) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![scratch.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder").flatten() {
            let path = entry.path();
            if path == scratch.join("in/DIR") || path == scratch.join("source") {
                continue;
            }
            let about = fs::symlink_metadata(&path).expect("there");
            let text = if about.is_file() { fs::read_to_string(&path).unwrap_or_default() } else { String::new() };
            found.push(format!("{} {:o} {} {text}", path.display(), about.mode(), about.uid()));
            if about.is_dir() {
                folders.push(path);
            }
        }
    }
    found.sort();
    found
}

fn run(case: &Case) -> Result<(), String> {
    let scratch = Scratch::new();
    surroundings(&scratch);
    let source = scratch.join("source");
    let word = match &case.from {
        From::Tar(bytes) => {
            fs::write(&source, bytes).expect("new");
            source.as_os_str().to_owned()
        }
        From::Layers(layers) => {
            super::images::Layout::new(&source).image(layers, &[]).finish();
            format!("oci:{}", source.display()).into()
        }
        From::Folder(make, word) => {
            make(&source);
            word.replace("{}", &source.display().to_string()).into()
        }
    };
    let before = picture(&scratch);
    let output = tool(&scratch, case.options, &word);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    if picture(&scratch) != before {
        return Err(format!("something outside DIR changed: {stderr}"));
    }
    let dir = scratch.join("in/DIR");
    match (&case.ends, output.status.code()) {
        (Ends::Refused(words), Some(1)) => refusal(words, &output.stderr, &dir),
        (Ends::Made(holds), Some(0)) => {
            let wrong: Vec<&str> = holds.iter().filter(|line| !holds_true(&dir, line)).copied().collect();
            if wrong.is_empty() { Ok(()) } else { Err(format!("does not hold: {wrong:?}")) }
        }
        (_, status) => Err(format!("status {status:?}: {stderr}")),
    }
}

fn refusal(words: &str, stderr: &[u8], dir: &PathBuf) -> Result<(), String> {
    let text = String::from_utf8_lossy(stderr).into_owned();
    if fs::symlink_metadata(dir).is_ok() {
        return Err(format!("DIR is left: {text}"));
    }
    let line = stderr.strip_suffix(b"\n").unwrap_or(stderr);
    if line.iter().any(|b| *b < 0x20 || *b == 0x7f) || std::str::from_utf8(line).is_err() {
        return Err(format!("a message that a terminal would act on: {text:?}"));
    }
    if !text.starts_with("rs-rootfs: ") || !text.contains(words) {
        return Err(format!("another message: {text}"));
    }
    Ok(())
}

/// `f PATH TEXT`, `d PATH`, `l PATH TARGET`, `- PATH` (nothing), `m PATH MODE`,
/// `o PATH UID:GID`, `s PATH SIZE`, `= PATH PATH` (one inode), `p PATH` (pipe),
/// `t PATH SECONDS` (time), `n PATH COUNT` (things in a folder).
fn holds_true(dir: &Path, line: &str) -> bool {
    let mut words = line.splitn(3, ' ');
    let mut word = || words.next().unwrap_or_default();
    let (what, path, value) = (word(), dir.join(word()), word());
    let Ok(about) = fs::symlink_metadata(&path) else { return what == "-" };
    match what {
        "f" => about.is_file() && fs::read(&path).is_ok_and(|bytes| bytes == value.as_bytes()),
        "d" => about.is_dir(),
        "l" => fs::read_link(&path).is_ok_and(|text| text == Path::new(value)),
        "m" => format!("{:o}", about.mode() & 0o7777) == value,
        "o" => format!("{}:{}", about.uid(), about.gid()) == value,
        "s" => about.len().to_string() == value,
        "=" => fs::symlink_metadata(dir.join(value)).is_ok_and(|other| other.ino() == about.ino()),
        "p" => about.file_type().is_fifo(),
        "t" => about.mtime().to_string() == value,
        "n" => fs::read_dir(&path).is_ok_and(|entries| entries.count().to_string() == value),
        _ => false,
    }
}
