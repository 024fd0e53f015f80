//! One header block of 512 bytes.

use super::Error;

/// The length of a block: headers are one, contents are rounded up to it.
pub(super) const BLOCK: usize = 512;

/// A header block whose checksum fits.
pub(super) struct Header<'a>(&'a [u8]);

/// Which fields a header has beyond the oldest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// The seventh edition's: nothing.
    V7,
    /// GNU tar's own: no prefix, sparse maps in its place.
    OldGnu,
    /// POSIX: a prefix before the name.
    Ustar,
}

impl<'a> Header<'a> {
    /// Takes `block`, if its checksum fits; some old archives have the sum of
    /// signed bytes.
    pub(super) fn new(block: &'a [u8]) -> Result<Self, Error> {
        let header = Self(block);
        let stated = octal(header.field(148, 8)).ok_or(Error::Checksum)?;
        let sum = |range: &[u8]| range.iter().map(|b| u64::from(*b)).sum::<u64>();
        let blanks = 8 * u64::from(b' ');
        let unsigned = sum(&block[..148]) + blanks + sum(&block[156..]);
        let high = block[..148].iter().chain(&block[156..]).filter(|b| **b >= 0x80).count() as u64;
        if stated == unsigned || Some(stated) == unsigned.checked_sub(high * 256) {
            Ok(header)
        } else {
            Err(Error::Checksum)
        }
    }

    fn field(&self, at: usize, length: usize) -> &'a [u8] {
        &self.0[at..at + length]
    }

    /// `length` bytes from `at`, up to the first NUL.
    fn text(&self, at: usize, length: usize) -> &'a [u8] {
        let field = self.field(at, length);
        &field[..field.iter().position(|b| *b == 0).unwrap_or(length)]
    }

    pub(super) fn format(&self) -> Format {
        match self.field(257, 8) {
            b"ustar  \0" => Format::OldGnu,
            magic if magic.starts_with(b"ustar\0") => Format::Ustar,
            _ => Format::V7,
        }
    }

    pub(super) fn kind(&self) -> u8 {
        self.0[156]
    }

    /// Puts the whole name into `path`.
    pub(super) fn name(&self, path: &mut Vec<u8>) {
        path.clear();
        if self.format() == Format::Ustar {
            let prefix = self.text(345, 155);
            if !prefix.is_empty() {
                path.extend_from_slice(prefix);
                path.push(b'/');
            }
        }
        path.extend_from_slice(self.text(0, 100));
    }

    pub(super) fn link(&self) -> &'a [u8] {
        self.text(157, 100)
    }

    fn unsigned(&self, at: usize, length: usize, field: &'static str) -> Result<u64, Error> {
        number(self.field(at, length), field)
    }

    pub(super) fn mode(&self) -> Result<u32, Error> {
        let mode = self.unsigned(100, 8, "mode")? & 0o7777;
        Ok(u32::try_from(mode).unwrap_or_default())
    }

    pub(super) fn uid(&self) -> Result<u32, Error> {
        id(self.unsigned(108, 8, "uid")?, "uid")
    }

    pub(super) fn gid(&self) -> Result<u32, Error> {
        id(self.unsigned(116, 8, "gid")?, "gid")
    }

    pub(super) fn size(&self) -> Result<u64, Error> {
        self.unsigned(124, 12, "size")
    }

    pub(super) fn mtime(&self) -> Result<i64, Error> {
        signed(self.field(136, 12), "mtime")
    }

    /// Major and minor number: at most what the kernel has (12 and 20 bits).
    pub(super) fn device(&self) -> Result<(u32, u32), Error> {
        let within = |at, most: u64, field| match self.unsigned(at, 8, field)? {
            n if n <= most => Ok(u32::try_from(n).unwrap_or_default()),
            _ => Err(Error::Number { field, what: "the kernel has no such device number" }),
        };
        if self.format() == Format::V7 {
            return Err(Error::Number { field: "devmajor", what: "this format has none" });
        }
        Ok((within(329, 4095, "devmajor")?, within(337, 1_048_575, "devminor")?))
    }

    /// Offset and length of segment `index` of an old GNU sparse header's
    /// four; `None` behind the last.
    pub(super) fn segment(&self, index: usize) -> Result<Option<(u64, u64)>, Error> {
        segment(self.0, 386 + index * 24)
    }

    /// Whether blocks with more segments follow.
    pub(super) fn is_extended(&self) -> bool {
        self.0[482] != 0
    }

    /// The size with holes, of an old GNU sparse file.
    pub(super) fn real_size(&self) -> Result<u64, Error> {
        self.unsigned(483, 12, "real size")
    }
}

/// The segment at `at` of a sparse header or of an extension block.
pub(super) fn segment(block: &[u8], at: usize) -> Result<Option<(u64, u64)>, Error> {
    let (offset, length) = (&block[at..at + 12], &block[at + 12..at + 24]);
    if offset[0] == 0 && length[0] == 0 {
        return Ok(None);
    }
    Ok(Some((number(offset, "sparse offset")?, number(length, "sparse length")?)))
}

/// -1 means "leave it" to chown, and 2^32 is 0 when cut.
pub(super) fn id(number: u64, field: &'static str) -> Result<u32, Error> {
    match u32::try_from(number) {
        Ok(id) if id != u32::MAX => Ok(id),
        _ => Err(Error::Number { field, what: "larger than 4294967294" }),
    }
}

/// Octal digits with blanks or NULs around; nothing at all is 0.
fn octal(field: &[u8]) -> Option<u64> {
    let blank = |b: &u8| matches!(b, b' ' | 0);
    let start = field.iter().position(|b| !blank(b)).unwrap_or(field.len());
    let end = field.iter().rposition(|b| !blank(b)).map_or(start, |last| last + 1);
    field[start..end].iter().try_fold(0u64, |sum, b| match b {
        b'0'..=b'7' => sum.checked_mul(8)?.checked_add(u64::from(b - b'0')),
        _ => None,
    })
}

/// A field that is not below 0: octal, or base-256 after 0x80.
fn number(field: &[u8], name: &'static str) -> Result<u64, Error> {
    let value = signed(field, name)?;
    u64::try_from(value).map_err(|_| Error::Number { field: name, what: "below zero" })
}

/// Octal, or base-256 after 0x80 (at least 0) or 0xff (below 0).
fn signed(field: &[u8], name: &'static str) -> Result<i64, Error> {
    let bad = |what| Error::Number { field: name, what };
    let value = match field[0] {
        0x80 => binary(&field[1..], 0),
        0xff => binary(&field[1..], -1),
        0x81..=0xfe => return Err(bad("not a number")),
        _ => i128::from(octal(field).ok_or(bad("not a number"))?),
    };
    i64::try_from(value).map_err(|_| bad("too large"))
}

/// At most eleven bytes, the highest first, below the sign's bits.
fn binary(bytes: &[u8], sign: i128) -> i128 {
    bytes.iter().fold(sign, |sum, b| (sum << 8) | i128::from(*b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(number(b"0000644\0", "").ok(), Some(0o644));
        assert_eq!(number(b"  644 \0 ", "").ok(), Some(0o644));
        assert_eq!(number(b"77777777", "").ok(), Some(0o7777_7777));
        assert_eq!(number(b"\0\0\0\0\0\0\0\0", "").ok(), Some(0));
        assert_eq!(number(b"\x80\0\0\0\0\0\x01\x02", "").ok(), Some(258));
        assert_eq!(signed(b"\xff\xff\xff\xff\xff\xff\xff\xfe", "").ok(), Some(-2));
        for bad in [
            &b"0000648\0"[..],
            b"-000001\0",
            b"6 4\0\0\0\0\0",
            b"\x81\0\0\0\0\0\0\0",
            b"0x1f\0\0\0\0",
            b"\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            assert!(number(bad, "").is_err(), "{bad:?}");
        }
        assert!(number(b"\x80\0\0\x01\0\0\0\0\0\0\0\0", "").is_err());
        assert!(number(b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", "").is_ok());
        assert!(number(b"777777777777", "").is_ok());
    }

    #[test]
    fn ids() {
        assert_eq!(id(4_294_967_294, "uid").ok(), Some(4_294_967_294));
        assert!(id(4_294_967_295, "uid").is_err());
        assert!(id(1 << 32, "uid").is_err());
    }
}
