//! From blocks to entries.

use super::header::{self, BLOCK, Format, Header};
use super::pax::{self, Pax};
use super::sparse::{self, Segment};
use super::{Entry, Error, Kind};
use crate::stream::{Input, Piece};

/// The most extension headers before one entry.
const MAX_EXTENSIONS: u32 = 16;

/// Reads the entries of one archive.
pub struct Reader<'a> {
    input: &'a mut Input,
    /// Bytes of the current entry's contents not yet given out.
    left: u64,
    /// Bytes from there to the next block.
    padding: u64,
    /// Whether the end was seen.
    ended: bool,
    first: bool,
}

/// What the extension headers before an entry say.
#[derive(Default)]
struct Extensions {
    pax: Option<Pax>,
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    count: u32,
}

impl<'a> Reader<'a> {
    /// Reads from `input`, which stands at the archive's first byte.
    pub fn new(input: &'a mut Input) -> Self {
        Self { input, left: 0, padding: 0, ended: false, first: true }
    }

    /// Reads the next entry's headers into `entry`; what is left of the one
    /// before is passed over. Gives false at the archive's end.
    ///
    /// # Errors
    /// The archive breaks a rule, or its stream failed.
    pub fn next(&mut self, entry: &mut Entry) -> Result<bool, Error> {
        if self.ended {
            return Ok(false);
        }
        self.skip()?;
        let mut before = Extensions::default();
        loop {
            let mut block = [0; BLOCK];
            if !self.block(&mut block, "a header")? || block.iter().all(|b| *b == 0) {
                if before.count > 0 {
                    return Err(Error::Cut("an entry: there is only its extended header"));
                }
                if std::mem::take(&mut self.first) && self.input.is_empty() {
                    return Err(Error::Empty);
                }
                self.ended = true;
                return Ok(false);
            }
            self.first = false;
            let header = Header::new(&block)?;
            match header.kind() {
                kind @ (b'x' | b'L' | b'K') => self.extension(kind, &header, &mut before)?,
                b'g' => self.pass(&header)?,
                b'V' if before.count == 0 => self.pass(&header)?,
                b'V' => return Err(Error::Ambiguous("a volume label with an extended header")),
                _ => {
                    self.file(&header, before, entry)?;
                    return Ok(true);
                }
            }
        }
    }

    /// The next bytes of the current entry's contents, as many as are at
    /// hand; empty at their end.
    ///
    /// # Errors
    /// The archive is cut off, or its stream failed.
    pub fn data(&mut self) -> Result<&[u8], Error> {
        let most = self.left;
        if most == 0 {
            return Ok(&[]);
        }
        let chunk = self.input.chunk(most)?;
        if chunk.is_empty() {
            return Err(Error::Cut("a file's contents"));
        }
        self.left -= chunk.len() as u64;
        Ok(chunk)
    }

    /// [`data`](Self::data) that may be kept, by another thread.
    ///
    /// # Errors
    /// The same.
    pub fn piece(&mut self) -> Result<Piece, Error> {
        let length = self.data()?.len();
        Ok(self.input.last(length))
    }

    /// How many bytes of the stream were read: after [`next`](Self::next),
    /// where the entry's contents begin.
    pub fn position(&self) -> u64 {
        self.input.position()
    }

    /// Passes over what is left of the current entry.
    fn skip(&mut self) -> Result<(), Error> {
        self.left += std::mem::take(&mut self.padding);
        while self.left > 0 {
            self.data()?;
        }
        Ok(())
    }

    /// Copies the next block; false at the stream's end.
    fn block(&mut self, block: &mut [u8; BLOCK], what: &'static str) -> Result<bool, Error> {
        let mut filled = 0;
        while filled < BLOCK {
            let chunk = self.input.chunk((BLOCK - filled) as u64)?;
            if chunk.is_empty() {
                return if filled == 0 { Ok(false) } else { Err(Error::Cut(what)) };
            }
            block[filled..filled + chunk.len()].copy_from_slice(chunk);
            filled += chunk.len();
        }
        Ok(true)
    }

    /// Sets up the contents that follow a header: `size` bytes and padding.
    fn contents(&mut self, size: u64) -> Result<(), Error> {
        let rounded =
            size.checked_next_multiple_of(BLOCK as u64).ok_or(Error::Number { field: "size", what: "too large" })?;
        self.left = size;
        self.padding = rounded - size;
        Ok(())
    }

    fn pass(&mut self, header: &Header<'_>) -> Result<(), Error> {
        self.contents(header.size()?)?;
        self.skip()
    }

    /// Reads an extension header's contents; the last of a kind counts.
    fn extension(&mut self, kind: u8, header: &Header<'_>, before: &mut Extensions) -> Result<(), Error> {
        before.count += 1;
        if before.count > MAX_EXTENSIONS {
            return Err(Error::Limit("more than 16 extended headers before one entry"));
        }
        let size = header.size()?;
        if size > pax::MAX {
            return Err(Error::Limit("an extended header of more than 1 MiB"));
        }
        self.contents(size)?;
        let mut bytes = Vec::new();
        loop {
            let chunk = self.data()?;
            if chunk.is_empty() {
                break;
            }
            bytes.extend_from_slice(chunk);
        }
        self.skip()?;
        if kind == b'x' {
            before.pax = Some(Pax::parse(&bytes)?);
            return Ok(());
        }
        bytes.truncate(bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len()));
        *(if kind == b'L' { &mut before.name } else { &mut before.link }) = Some(bytes);
        Ok(())
    }

    /// Reads the header of a file, a folder, …
    fn file(&mut self, header: &Header<'_>, before: Extensions, entry: &mut Entry) -> Result<(), Error> {
        let mut pax = before.pax.unwrap_or_default();
        header.name(&mut entry.path);
        if let Some(name) = pax.sparse.name.take().or(pax.path.take()).or(before.name) {
            entry.path = name;
        }
        entry.link.clear();
        match pax.link.take().or(before.link) {
            Some(link) => entry.link = link,
            None => entry.link.extend_from_slice(header.link()),
        }
        entry.mode = header.mode()?;
        entry.uid = pax.uid.map_or_else(|| header.uid(), Ok)?;
        entry.gid = pax.gid.map_or_else(|| header.gid(), Ok)?;
        entry.mtime = match pax.mtime {
            Some(time) => time,
            None => (header.mtime()?, 0),
        };
        entry.attributes = std::mem::take(&mut pax.attributes);
        entry.sparse = None;
        entry.device = (0, 0);
        let stored = pax.size.map_or_else(|| header.size(), Ok)?;
        entry.size = stored;
        entry.kind = kind(header.kind(), entry)?;
        if matches!(entry.kind, Kind::Char | Kind::Block) {
            entry.device = header.device()?;
        }
        if entry.kind != Kind::File {
            entry.size = 0;
            if pax.sparse.any {
                return Err(Error::Sparse("what it belongs to is no file"));
            }
            return self.contents(0);
        }
        self.contents(stored)?;
        if header.kind() == b'S' {
            return self.old_sparse(header, entry, stored);
        }
        if pax.sparse.any { self.pax_sparse(&mut pax, entry) } else { Ok(()) }
    }

    /// The map of an old GNU sparse file: four segments in the header, then
    /// blocks of 21, before the data.
    fn old_sparse(&mut self, header: &Header<'_>, entry: &mut Entry, stored: u64) -> Result<(), Error> {
        if header.format() != Format::OldGnu {
            return Err(Error::Ambiguous("a sparse file in a format that has none"));
        }
        entry.size = header.real_size()?;
        let mut map = Vec::new();
        let mut open = true;
        for index in 0..4 {
            open = open && push(&mut map, header.segment(index)?)?;
        }
        let mut extended = header.is_extended();
        while extended {
            let mut block = [0; BLOCK];
            if !self.block(&mut block, "a sparse map")? {
                return Err(Error::Cut("a sparse map"));
            }
            for index in 0..21 {
                open = open && push(&mut map, header::segment(&block, index * 24)?)?;
            }
            extended = block[504] != 0;
            if extended && !open {
                return Err(Error::Sparse("it goes on behind its end"));
            }
        }
        sparse::check(&map, entry.size, stored)?;
        entry.sparse = Some(map);
        Ok(())
    }

    fn pax_sparse(&mut self, pax: &mut Pax, entry: &mut Entry) -> Result<(), Error> {
        let real_size = pax.sparse.real_size.ok_or(Error::Sparse("the file's size is missing"))?;
        let map = match sparse::version(&pax.sparse)? {
            sparse::Version::Header => sparse::from_header(&mut pax.sparse)?,
            sparse::Version::Data => self.map_in_data()?,
        };
        entry.size = real_size;
        sparse::check(&map, real_size, self.left)?;
        entry.sparse = Some(map);
        Ok(())
    }

    /// Version 1.0: decimal numbers, a line each, first how many segments;
    /// padded to a block.
    fn map_in_data(&mut self) -> Result<Vec<Segment>, Error> {
        let mut lines = Lines { block: [0; BLOCK], at: BLOCK };
        let count = lines.number(self)?;
        if count > sparse::MAX {
            return Err(Error::Limit("a sparse map of more than 1000000 segments"));
        }
        let mut map = Vec::new();
        for _ in 0..count {
            let offset = lines.number(self)?;
            map.push(Segment { offset, length: lines.number(self)? });
        }
        Ok(map)
    }

    /// A block of the current entry's contents.
    fn content_block(&mut self, block: &mut [u8; BLOCK]) -> Result<(), Error> {
        if self.left < BLOCK as u64 {
            return Err(Error::Sparse("it is longer than the data it stands in"));
        }
        self.left -= BLOCK as u64;
        if self.block(block, "a sparse map")? { Ok(()) } else { Err(Error::Cut("a sparse map")) }
    }
}

/// Numbers, a line each, out of blocks.
struct Lines {
    block: [u8; BLOCK],
    at: usize,
}

impl Lines {
    fn number(&mut self, reader: &mut Reader<'_>) -> Result<u64, Error> {
        let mut digits = [0; 20];
        let mut length = 0;
        loop {
            if self.at == BLOCK {
                reader.content_block(&mut self.block)?;
                self.at = 0;
            }
            let byte = self.block[self.at];
            self.at += 1;
            if byte == b'\n' {
                return pax::decimal(&digits[..length]);
            }
            *digits.get_mut(length).ok_or(Error::Sparse("a number without end"))? = byte;
            length += 1;
        }
    }
}

/// Adds a segment; false behind the last one.
fn push(map: &mut Vec<Segment>, segment: Option<(u64, u64)>) -> Result<bool, Error> {
    let Some((offset, length)) = segment else { return Ok(false) };
    if map.len() as u64 >= sparse::MAX {
        return Err(Error::Limit("a sparse map of more than 1000000 segments"));
    }
    map.push(Segment { offset, length });
    Ok(true)
}

/// What type flag `flag` means.
fn kind(flag: u8, entry: &Entry) -> Result<Kind, Error> {
    match flag {
        b'0' | 0 if entry.path.ends_with(b"/") => {
            if entry.size > 0 {
                return Err(Error::Ambiguous("a folder with contents"));
            }
            Ok(Kind::Folder)
        }
        b'0' | 0 | b'7' | b'S' => Ok(Kind::File),
        b'1' => Ok(Kind::HardLink),
        b'2' => Ok(Kind::Link),
        b'3' => Ok(Kind::Char),
        b'4' => Ok(Kind::Block),
        b'5' => Ok(Kind::Folder),
        b'6' => Ok(Kind::Pipe),
        other => Err(Error::Type(other)),
    }
}
