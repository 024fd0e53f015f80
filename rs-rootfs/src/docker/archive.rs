//! An archive as docker's export writes it: ustar headers, PAX records only
//! where a field cannot hold what it should.

use super::tree::{About, Contents, Node, ROOT, Thing, Tree};
use anyhow::{Context, Result, bail};
use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

const BLOCK: usize = 512;
/// What is gathered before it is written.
const BUFFER: usize = 1 << 20;
/// The largest numbers that octal fields of 8 and of 12 bytes hold.
const OCTAL_8: u64 = 0o7_777_777;
const OCTAL_12: u64 = 0o77_777_777_777;
/// Go's times of 64-bit nanoseconds end in 2262.
const LAST_TIME: i64 = 9_223_372_036;

/// Takes the archive's bytes.
pub(crate) trait Sink {
    /// All of them, in order.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;
}

struct Writer<'a, S> {
    sink: &'a mut S,
    buffer: Vec<u8>,
    layers: &'a [Arc<File>],
    /// The first name of each file, for the names after it.
    names: HashMap<usize, Vec<u8>>,
}

/// Writes `tree`, whose files' bytes lie in `layers`.
///
/// # Errors
/// A layer cannot be read, or the archive not be written.
pub(crate) fn write(tree: &Tree, layers: &[Arc<File>], sink: &mut impl Sink) -> Result<()> {
    let mut writer = Writer { sink, buffer: Vec::with_capacity(BUFFER), layers, names: HashMap::new() };
    let below = |at: usize| tree.children(at).into_iter().flatten().rev();
    // A stack, the next name on top: trees may be deep.
    let mut todo: Vec<(Vec<u8>, usize)> = below(ROOT).map(|(name, child)| (name.clone(), child.at)).collect();
    while let Some((path, at)) = todo.pop() {
        let thing = &tree.things[at];
        writer.entry(&path, at, thing)?;
        todo.extend(below(at).map(|(name, child)| ([path.as_slice(), b"/", name].concat(), child.at)));
    }
    writer.put(&[0; 2 * BLOCK])?;
    writer.flush()
}

impl<S: Sink> Writer<'_, S> {
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        if self.buffer.len() + bytes.len() > BUFFER {
            self.flush()?;
        }
        if bytes.len() >= BUFFER {
            return self.sink.write(bytes);
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.sink.write(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    fn pad(&mut self, size: u64) -> Result<()> {
        let over = usize::try_from(size % BLOCK as u64).unwrap_or_default();
        if over > 0 { self.put(&[0; BLOCK][over..]) } else { Ok(()) }
    }

    fn entry(&mut self, path: &[u8], at: usize, thing: &Thing) -> Result<()> {
        let first = self.names.get(&at).cloned();
        let mut name = path.to_vec();
        let mut header = Header { size: 0, link: &[], device: (0, 0), kind: b'0', bits: 0o100_000 };
        match (&thing.node, &first) {
            (Node::Folder(_), _) => {
                name.push(b'/');
                (header.kind, header.bits) = (b'5', 0o40_000);
            }
            (node, Some(first)) => (header.kind, header.bits, header.link) = (b'1', bits(node), first),
            (Node::File(contents), None) => header.size = contents.size,
            (Node::Link(text), None) => (header.kind, header.bits, header.link) = (b'2', 0o120_000, text),
            (node @ Node::Device(block, major, minor), None) => {
                (header.kind, header.bits) = (if *block { b'4' } else { b'3' }, bits(node));
                header.device = (*major, *minor);
            }
            (node @ Node::Pipe, None) => (header.kind, header.bits) = (b'6', bits(node)),
        }
        self.headers(&name, &header, &thing.about)?;
        if first.is_none()
            && let Node::File(contents) = &thing.node
        {
            self.contents(contents).with_context(|| path.escape_ascii().to_string())?;
        }
        self.names.entry(at).or_insert(name);
        Ok(())
    }

    /// The header, with a PAX header before it where one is needed.
    fn headers(&mut self, name: &[u8], header: &Header<'_>, about: &About) -> Result<()> {
        let mtime = if (0..=LAST_TIME).contains(&about.mtime) { about.mtime.unsigned_abs() } else { 0 };
        let mut records = Vec::new();
        let mut number = |key: &str, value: u64, limit: u64| {
            if value > limit {
                record(&mut records, key, value.to_string().as_bytes());
            }
        };
        number("gid", about.gid.into(), OCTAL_8);
        number("mtime", mtime, OCTAL_12);
        number("size", header.size, OCTAL_12);
        number("uid", about.uid.into(), OCTAL_8);
        let long = |text: &[u8]| text.len() > 100 || !text.is_ascii();
        if long(header.link) {
            record(&mut records, "linkpath", header.link);
        }
        let capability = about.capability.as_ref();
        // As Go: a long name is split only where nothing else needs a record.
        let split = split(name).filter(|_| records.is_empty() && capability.is_none());
        if long(name) && split.is_none() {
            record(&mut records, "path", name);
        }
        if let Some(capability) = capability {
            record(&mut records, "SCHILY.xattr.security.capability", capability);
        }
        if !records.is_empty() {
            let cut = name.iter().rposition(|b| *b == b'/').map_or(0, |at| at + 1);
            let own = [&name[..cut], b"PaxHeaders.0/", &name[cut..]].concat();
            let extension = Header { size: records.len() as u64, kind: b'x', bits: 0, link: &[], device: (0, 0) };
            let nobody = About { uid: u32::MAX, gid: u32::MAX, ..About::default() };
            self.put(&extension.block(&own, &nobody, 0))?;
            self.put(&records)?;
            self.pad(records.len() as u64)?;
        }
        let mut block = header.block(split.map_or(name, |at| &name[at + 1..]), about, mtime);
        if let Some(at) = split {
            block[345..345 + at].copy_from_slice(&name[..at]);
            seal(&mut block);
        }
        self.put(&block)
    }

    /// The bytes of a file, its holes as zeros.
    fn contents(&mut self, contents: &Contents) -> Result<()> {
        let mut at = contents.offset;
        match &contents.segments {
            None => self.copy(contents.layer, at, contents.size)?,
            Some(segments) => {
                let mut end = 0;
                for segment in segments {
                    self.zeros(segment.offset - end)?;
                    self.copy(contents.layer, at, segment.length)?;
                    at += segment.length;
                    end = segment.offset + segment.length;
                }
                self.zeros(contents.size - end)?;
            }
        }
        self.pad(contents.size)
    }

    fn zeros(&mut self, mut count: u64) -> Result<()> {
        let zeros = [0; 16 << 10];
        while count > 0 {
            let n = usize::try_from(count).unwrap_or(usize::MAX).min(zeros.len());
            self.put(&zeros[..n])?;
            count -= n as u64;
        }
        Ok(())
    }

    /// Appends `count` bytes of a layer from `offset` on, read right into the
    /// buffer.
    fn copy(&mut self, layer: usize, mut offset: u64, mut count: u64) -> Result<()> {
        let file = self.layers.get(layer).context("no such layer")?;
        while count > 0 {
            if self.buffer.len() == BUFFER {
                self.sink.write(&self.buffer)?;
                self.buffer.clear();
            }
            let begin = self.buffer.len();
            let n = usize::try_from(count).unwrap_or(usize::MAX).min(BUFFER - begin);
            self.buffer.resize(begin + n, 0);
            let got = file.read_at(&mut self.buffer[begin..], offset)?;
            self.buffer.truncate(begin + got);
            if got == 0 {
                bail!("the stored layer is cut off");
            }
            offset += got as u64;
            count -= got as u64;
        }
        Ok(())
    }
}

fn bits(node: &Node) -> u32 {
    match node {
        Node::Folder(_) => 0o40_000,
        Node::File(_) => 0o100_000,
        Node::Link(_) => 0o120_000,
        Node::Device(true, ..) => 0o60_000,
        Node::Device(false, ..) => 0o20_000,
        Node::Pipe => 0o10_000,
    }
}

/// `LEN KEY=VALUE\n`, LEN counting itself.
fn record(records: &mut Vec<u8>, key: &str, value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while rest + length.to_string().len() != length {
        length += 1;
    }
    records.extend_from_slice(format!("{length} {key}=").as_bytes());
    records.extend_from_slice(value);
    records.push(b'\n');
}

struct Header<'a> {
    size: u64,
    kind: u8,
    /// The type's bits in the mode field.
    bits: u32,
    link: &'a [u8],
    device: (u32, u32),
}

impl Header<'_> {
    fn block(&self, name: &[u8], about: &About, mtime: u64) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        let ascii = |text: &[u8]| text.iter().copied().filter(u8::is_ascii).take(100).collect::<Vec<u8>>();
        let mut text = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
        let mut short = ascii(name);
        if name.len() > 100 || self.kind == b'x' {
            // A cut name must not look like a folder's.
            while short.last() == Some(&b'/') {
                short.pop();
            }
        }
        text(0, &short);
        text(157, &ascii(self.link));
        text(257, b"ustar\x0000");
        if about.uid == 0 {
            text(265, b"root");
        }
        if about.gid == 0 {
            text(297, b"root");
        }
        let mut octal = |at: usize, width: usize, value: u64| {
            let digits = format!("{value:0width$o}", width = width - 1);
            block[at..at + digits.len()].copy_from_slice(digits.as_bytes());
        };
        let fits = |value: u64, limit: u64| if value > limit { 0 } else { value };
        octal(100, 8, u64::from(self.bits | about.mode));
        octal(108, 8, fits(about.uid.into(), OCTAL_8));
        octal(116, 8, fits(about.gid.into(), OCTAL_8));
        octal(124, 12, fits(self.size, OCTAL_12));
        octal(136, 12, fits(mtime, OCTAL_12));
        if self.kind != b'x' {
            octal(329, 8, self.device.0.into());
            octal(337, 8, self.device.1.into());
        }
        block[156] = self.kind;
        seal(&mut block);
        block
    }
}

/// Where a long name can be split, so that ustar's two fields hold it.
fn split(name: &[u8]) -> Option<usize> {
    if name.len() <= 100 || !name.is_ascii() {
        return None;
    }
    let end = if name.len() > 156 { 156 } else { name.strip_suffix(b"/").unwrap_or(name).len() };
    let at = name[..end].iter().rposition(|b| *b == b'/').filter(|at| *at > 0)?;
    (1..=100).contains(&(name.len() - at - 1)).then_some(at)
}

/// The sum over the header, itself as blanks.
fn seal(block: &mut [u8; BLOCK]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_count_themselves() {
        let mut records = Vec::new();
        record(&mut records, "path", &[b'a'; 90]);
        assert!(records.starts_with(b"99 path=a"));
        assert_eq!(records.len(), 99);
        records.clear();
        record(&mut records, "path", &[b'a'; 91]);
        assert!(records.starts_with(b"101 path=a"));
        assert_eq!(records.len(), 101);
    }
}
