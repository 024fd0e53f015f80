//! Where a loader finds libraries (ld.so(8)): not by running it.

use super::elf::{Elf, Machine};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// More includes of ld.so.conf than any host has.
const MAX_FILES: usize = 256;

/// The folders of this host.
#[derive(Debug, Default)]
pub(super) struct Folders {
    /// Those of `/etc/ld.so.conf` and its includes.
    configured: Vec<PathBuf>,
    /// Those files.
    pub(super) files: Vec<PathBuf>,
}

impl Folders {
    /// Reads `/etc/ld.so.conf`.
    pub(super) fn of_this_host() -> Self {
        let mut folders = Self::default();
        folders.include(Path::new("/etc/ld.so.conf"));
        folders
    }

    fn include(&mut self, file: &Path) {
        let mut text = Vec::new();
        let read = File::open(file).and_then(|file| file.take(1 << 20).read_to_end(&mut text));
        if read.is_err() || self.files.len() >= MAX_FILES || self.files.iter().any(|known| known == file) {
            return;
        }
        self.files.push(file.to_owned());
        for line in text.split(|b| *b == b'\n') {
            let line = line.split(|b| *b == b'#').next().unwrap_or_default().trim_ascii();
            match line.strip_prefix(b"include") {
                Some(pattern) if pattern.first().is_some_and(u8::is_ascii_whitespace) => {
                    self.include_all(Path::new(OsStr::from_bytes(pattern.trim_ascii())));
                }
                _ if line.starts_with(b"/") => self.configured.push(PathBuf::from(OsStr::from_bytes(line))),
                _ => {}
            }
        }
    }

    /// A pattern whose last part has a `*`, as in `ld.so.conf.d/*.conf`.
    fn include_all(&mut self, pattern: &Path) {
        let pattern = Path::new("/etc").join(pattern);
        let (Some(folder), Some(name)) = (pattern.parent(), pattern.file_name()) else { return };
        let name = name.as_bytes();
        let Some(star) = name.iter().position(|b| *b == b'*') else { return self.include(&pattern) };
        let fits = |file: &OsStr| {
            file.len() + 1 >= name.len()
                && file.as_bytes().starts_with(&name[..star])
                && file.as_bytes().ends_with(&name[star + 1..])
        };
        let mut found: Vec<PathBuf> = fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| fits(&entry.file_name()))
            .map(|entry| entry.path())
            .collect();
        found.sort();
        for file in found {
            self.include(&file);
        }
    }

    /// The library `name` for a file of `machine`: in `own` folders first,
    /// then in those of the host.
    pub(super) fn find(&self, name: &OsStr, machine: Machine, own: &[PathBuf]) -> Option<PathBuf> {
        if name.as_bytes().contains(&b'/') {
            return Some(PathBuf::from(name)).filter(|path| fits(path, machine));
        }
        let built_in = built_in(machine);
        own.iter()
            .chain(&self.configured)
            .chain(&built_in)
            .map(|folder| folder.join(name))
            .find(|path| fits(path, machine))
    }
}

/// The folders that a loader knows by itself.
pub(super) fn built_in(machine: Machine) -> Vec<PathBuf> {
    let name = machine.name();
    let suffix = if name == "arm" { "gnueabihf" } else { "gnu" };
    let multiarch = [format!("/lib/{name}-linux-{suffix}"), format!("/usr/lib/{name}-linux-{suffix}")];
    let wide = ["/lib64", "/usr/lib64"].iter().filter(|_| machine.is_64_bit());
    let plain = wide.chain(&["/lib", "/usr/lib"]).map(|path| (*path).to_owned());
    plain.chain(multiarch).map(PathBuf::from).collect()
}

fn fits(path: &Path, machine: Machine) -> bool {
    let is_file = fs::metadata(path).is_ok_and(|about| about.is_file());
    is_file && File::open(path).ok().and_then(|file| Elf::read(&file)).is_some_and(|elf| elf.machine == machine)
}

/// The folders of a DT_RPATH or DT_RUNPATH of the file in folder `origin`.
pub(super) fn expanded(list: &OsStr, origin: &Path, machine: Machine) -> Vec<PathBuf> {
    let name = machine.name();
    let libs = [format!("lib/{name}-linux-gnu"), "lib64".to_owned(), "lib".to_owned()];
    let mut folders = Vec::new();
    for part in list.as_bytes().split(|b| *b == b':').filter(|part| !part.is_empty()) {
        let part = replaced(part, "ORIGIN", origin.as_os_str().as_bytes());
        let part = replaced(&part, "PLATFORM", name.as_bytes());
        for lib in &libs {
            let path = PathBuf::from(OsString::from_vec(replaced(&part, "LIB", lib.as_bytes())));
            if path.is_absolute() && !folders.contains(&path) {
                folders.push(path);
            }
        }
    }
    folders
}

/// `$KEY` and `${KEY}` as `value`.
fn replaced(text: &[u8], key: &str, value: &[u8]) -> Vec<u8> {
    let forms = [format!("${{{key}}}"), format!("${key}")];
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        if let Some(behind) = forms.iter().find_map(|form| rest.strip_prefix(form.as_bytes())) {
            out.extend_from_slice(value);
            rest = behind;
        } else {
            out.push(*first);
            rest = after;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origin() {
        assert_eq!(replaced(b"$ORIGIN/../lib:${ORIGIN}", "ORIGIN", b"/a"), b"/a/../lib:/a");
    }
}
