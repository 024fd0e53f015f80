//! Of an ELF file what its loader needs to know (elf(5), ld.so(8)). It is
//! read, never run: ldd runs what it looks at.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::FileExt;

const PT_LOAD: u64 = 1;
const PT_DYNAMIC: u64 = 2;
const PT_INTERP: u64 = 3;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_RPATH: u64 = 15;
const DT_RUNPATH: u64 = 29;
/// More than any program has.
const MAX_HEADERS: u64 = 1024;
const MAX_DYNAMIC: u64 = 1 << 20;
const MAX_STRING: usize = 4096;

/// What decides whether two files go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Machine {
    /// 1: 32 bits, 2: 64 bits.
    class: u8,
    /// 1: little-endian, 2: big-endian.
    order: u8,
    number: u64,
}

impl Machine {
    /// As `$PLATFORM` and multiarch folders call it.
    pub(super) fn name(self) -> &'static str {
        match (self.number, self.class, self.order) {
            (62, ..) => "x86_64",
            (3, ..) => "i386",
            (183, ..) => "aarch64",
            (40, ..) => "arm",
            (243, ..) => "riscv64",
            (21, _, 1) => "powerpc64le",
            (22, ..) => "s390x",
            (258, ..) => "loongarch64",
            _ => "unknown",
        }
    }

    pub(super) fn is_64_bit(self) -> bool {
        self.class == 2
    }
}

/// A program or a library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Elf {
    pub(super) machine: Machine,
    /// Its loader; a static program and most libraries have none.
    pub(super) interpreter: Option<OsString>,
    pub(super) needed: Vec<OsString>,
    pub(super) rpath: Option<OsString>,
    pub(super) runpath: Option<OsString>,
}

struct Reader<'a> {
    file: &'a File,
    machine: Machine,
}

/// A piece of the file as it is loaded.
struct Segment {
    kind: u64,
    offset: u64,
    address: u64,
    length: u64,
}

impl Reader<'_> {
    /// The number of `size` bytes at `at`.
    fn number(&self, at: u64, size: usize) -> Option<u64> {
        let mut bytes = [0; 8];
        let bytes = &mut bytes[..size];
        self.file.read_exact_at(bytes, at).ok()?;
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        Some(if self.machine.order == 1 { bytes.iter().rev().fold(0, add) } else { bytes.iter().fold(0, add) })
    }

    /// A number that is as wide as an address.
    fn word(&self, at: u64) -> Option<u64> {
        self.number(at, self.word_size())
    }

    fn word_size(&self) -> usize {
        if self.machine.is_64_bit() { 8 } else { 4 }
    }

    /// The text at `at`, up to its NUL.
    fn text(&self, at: u64) -> Option<OsString> {
        let mut bytes = vec![0; MAX_STRING];
        let n = self.file.read_at(&mut bytes, at).ok()?;
        let end = bytes[..n].iter().position(|b| *b == 0)?;
        bytes.truncate(end);
        Some(OsString::from_vec(bytes))
    }

    fn segments(&self) -> Option<Vec<Segment>> {
        let wide = self.machine.is_64_bit();
        let table = self.word(if wide { 32 } else { 28 })?;
        let size = self.number(if wide { 54 } else { 42 }, 2)?;
        let count = self.number(if wide { 56 } else { 44 }, 2)?.min(MAX_HEADERS);
        let segment = |i: u64| {
            let at = table.checked_add(i.checked_mul(size)?)?;
            let field =
                |wide_at: u64, narrow_at: u64| self.word(at.checked_add(if wide { wide_at } else { narrow_at })?);
            Some(Segment {
                kind: self.number(at, 4)?,
                offset: field(8, 4)?,
                address: field(16, 8)?,
                length: field(32, 16)?,
            })
        };
        (0..count).map(segment).collect()
    }
}

impl Elf {
    /// Reads `file`; `None` if it is none, or a broken one.
    pub(super) fn read(file: &File) -> Option<Self> {
        let mut head = [0; 20];
        file.read_exact_at(&mut head, 0).ok()?;
        if !head.starts_with(b"\x7fELF") || !matches!(head[4], 1 | 2) || !matches!(head[5], 1 | 2) {
            return None;
        }
        let mut reader = Reader { file, machine: Machine { class: head[4], order: head[5], number: 0 } };
        reader.machine.number = reader.number(18, 2)?;
        let segments = reader.segments()?;
        let interpreter = segments.iter().find(|s| s.kind == PT_INTERP).and_then(|s| reader.text(s.offset));
        let mut elf = Self { machine: reader.machine, interpreter, needed: Vec::new(), rpath: None, runpath: None };
        if let Some(dynamic) = segments.iter().find(|s| s.kind == PT_DYNAMIC) {
            elf.dynamic(&reader, &segments, dynamic)?;
        }
        Some(elf)
    }

    fn dynamic(&mut self, reader: &Reader<'_>, segments: &[Segment], dynamic: &Segment) -> Option<()> {
        let word = reader.word_size() as u64;
        let mut tags = Vec::new();
        for i in 0..dynamic.length.min(MAX_DYNAMIC) / (2 * word) {
            let at = dynamic.offset.checked_add(i * 2 * word)?;
            match (reader.word(at)?, reader.word(at.checked_add(word)?)?) {
                (0, _) => break,
                tag => tags.push(tag),
            }
        }
        let Some((_, address)) = tags.iter().find(|(tag, _)| *tag == DT_STRTAB) else { return Some(()) };
        let loaded = segments.iter().filter(|s| s.kind == PT_LOAD);
        let inside = |s: &&Segment| *address >= s.address && address - s.address < s.length;
        let strings = loaded.into_iter().find(inside).map(|s| address - s.address + s.offset)?;
        for (tag, value) in tags {
            let text = || reader.text(strings.checked_add(value)?);
            match tag {
                DT_NEEDED => self.needed.push(text()?),
                DT_RPATH => self.rpath = text(),
                DT_RUNPATH => self.runpath = text(),
                _ => {}
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_of_this_host() {
        let shell = std::fs::canonicalize("/bin/sh").expect("a shell");
        let elf = Elf::read(&File::open(shell).expect("readable")).expect("an ELF file");
        assert_eq!(elf.machine.name(), std::env::consts::ARCH);
        assert_eq!(elf.interpreter.is_some(), !elf.needed.is_empty());
    }

    #[test]
    fn no_elf() {
        assert_eq!(Elf::read(&File::open("/etc/passwd").expect("readable")), None);
    }
}
