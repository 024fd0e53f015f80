//! The records of an extended header (POSIX pax, "pax Extended Header").

use super::header::id;
use super::{Error, Segment};

/// The longest extended header, in bytes.
pub(super) const MAX: u64 = 1 << 20;

/// What the records of one extended header override.
#[derive(Debug, Default)]
pub(super) struct Pax {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) mtime: Option<(i64, u32)>,
    pub(super) attributes: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) sparse: Sparse,
}

/// The `GNU.sparse.*` records, as they stand there.
#[derive(Debug, Default)]
pub(super) struct Sparse {
    pub(super) major: Option<u64>,
    pub(super) minor: Option<u64>,
    pub(super) name: Option<Vec<u8>>,
    /// `size` in versions 0, `realsize` in 1.0.
    pub(super) real_size: Option<u64>,
    pub(super) count: Option<u64>,
    /// The map of versions 0.0 and 0.1.
    pub(super) map: Vec<Segment>,
    /// Version 0.0 has the offset in a record of its own.
    offset: Option<u64>,
    pub(super) any: bool,
}

impl Pax {
    /// Reads the records that `bytes` consists of.
    pub(super) fn parse(mut bytes: &[u8]) -> Result<Self, Error> {
        let mut pax = Self::default();
        while !bytes.is_empty() {
            let (key, value, rest) = record(bytes)?;
            pax.take(key, value)?;
            bytes = rest;
        }
        Ok(pax)
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        let given = (!value.is_empty()).then_some(value);
        match key {
            b"path" => self.path = given.map(name).transpose()?,
            b"linkpath" => self.link = given.map(name).transpose()?,
            b"size" => self.size = given.map(decimal).transpose()?,
            b"uid" => self.uid = given.map(|v| id(decimal(v)?, "uid")).transpose()?,
            b"gid" => self.gid = given.map(|v| id(decimal(v)?, "gid")).transpose()?,
            b"mtime" => self.mtime = given.map(time).transpose()?,
            _ => {
                if let Some(attribute) = key.strip_prefix(b"SCHILY.xattr.") {
                    self.attribute(attribute, value)?;
                } else if let Some(key) = key.strip_prefix(b"GNU.sparse.") {
                    self.sparse.take(key, value)?;
                }
            }
        }
        Ok(())
    }

    /// The last of two with one name counts.
    fn attribute(&mut self, name: &[u8], value: &[u8]) -> Result<(), Error> {
        if name.is_empty() || name.contains(&0) {
            return Err(Error::Pax("an attribute without a proper name"));
        }
        match self.attributes.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => value.clone_into(known),
            None => self.attributes.push((name.to_vec(), value.to_vec())),
        }
        // Finding is linear; nobody has so many.
        if self.attributes.len() > 4096 {
            return Err(Error::Limit("more than 4096 attributes of one entry"));
        }
        Ok(())
    }
}

impl Sparse {
    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        self.any = true;
        match key {
            b"major" => self.major = Some(decimal(value)?),
            b"minor" => self.minor = Some(decimal(value)?),
            b"name" => self.name = Some(name(value)?),
            b"size" | b"realsize" => self.real_size = Some(decimal(value)?),
            b"numblocks" => self.count = Some(decimal(value)?),
            b"offset" if self.is_half() => return Err(Error::Sparse("an offset without a length")),
            b"offset" => self.offset = Some(decimal(value)?),
            b"numbytes" => {
                let offset = self.offset.take().ok_or(Error::Sparse("a length without an offset"))?;
                self.map.push(Segment { offset, length: decimal(value)? });
            }
            b"map" => self.map = map(value)?,
            _ => {}
        }
        Ok(())
    }

    /// Whether an offset still waits for its length.
    pub(super) fn is_half(&self) -> bool {
        self.offset.is_some()
    }
}

/// `OFFSET,LENGTH,OFFSET,LENGTH…`
fn map(value: &[u8]) -> Result<Vec<Segment>, Error> {
    if value.is_empty() {
        return Ok(Vec::new());
    }
    let numbers = value.split(|b| *b == b',').map(decimal).collect::<Result<Vec<u64>, Error>>()?;
    let pairs = numbers.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return Err(Error::Sparse("an offset without a length"));
    }
    Ok(pairs.map(|pair| Segment { offset: pair[0], length: pair[1] }).collect())
}

/// Key, value, and the records behind.
type Record<'a> = (&'a [u8], &'a [u8], &'a [u8]);

/// Splits one `LEN KEY=VALUE\n` off; LEN counts itself and the newline.
fn record(bytes: &[u8]) -> Result<Record<'_>, Error> {
    let bad = Error::Pax;
    let blank = bytes.iter().take(21).position(|b| *b == b' ').ok_or(bad("a record without a length"))?;
    let length = decimal(&bytes[..blank])?;
    let length = usize::try_from(length).map_err(|_| bad("a record longer than the header"))?;
    if length > bytes.len() {
        return Err(bad("a record longer than the header"));
    }
    let body = bytes.get(blank + 1..length).ok_or(bad("a record shorter than its length"))?;
    let body = body.strip_suffix(b"\n").ok_or(bad("a record that does not end at a newline"))?;
    let equals = body.iter().position(|b| *b == b'=').ok_or(bad("a record without '='"))?;
    if equals == 0 {
        return Err(bad("a record without a key"));
    }
    Ok((&body[..equals], &body[equals + 1..], &bytes[length..]))
}

fn name(value: &[u8]) -> Result<Vec<u8>, Error> {
    if value.contains(&0) { Err(Error::Pax("a NUL in a name")) } else { Ok(value.to_vec()) }
}

/// Decimal digits and nothing else; at most 2^63-1.
pub(super) fn decimal(digits: &[u8]) -> Result<u64, Error> {
    if digits.is_empty() {
        return Err(Error::Pax("a number without digits"));
    }
    let number = digits.iter().try_fold(0i64, |sum, b| match b {
        b'0'..=b'9' => sum.checked_mul(10)?.checked_add(i64::from(b - b'0')),
        _ => None,
    });
    number.and_then(|n| u64::try_from(n).ok()).ok_or(Error::Pax("not a number, or too large a one"))
}

/// `-?D+(.D*)?` seconds; rounded down to nanoseconds.
fn time(value: &[u8]) -> Result<(i64, u32), Error> {
    let bad = Error::Pax("a time that is no number");
    let (negative, digits) = match value.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, value),
    };
    let (whole, fraction) = match digits.iter().position(|b| *b == b'.') {
        Some(dot) => (&digits[..dot], &digits[dot + 1..]),
        None => (digits, &[][..]),
    };
    if !fraction.iter().all(u8::is_ascii_digit) {
        return Err(bad);
    }
    let seconds = i64::try_from(decimal(whole)?).map_err(|_| bad)?;
    let digit = |at: usize| fraction.get(at).map_or(0, |b| u32::from(b - b'0'));
    let nanos = (0..9).fold(0, |sum, at| sum * 10 + digit(at));
    if !negative {
        return Ok((seconds, nanos));
    }
    let beyond = fraction.iter().skip(9).any(|b| *b != b'0');
    match nanos + u32::from(beyond) {
        0 => Ok((-seconds, 0)),
        nanos => Ok((-seconds - 1, 1_000_000_000 - nanos)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Pax, Error> {
        Pax::parse(text.as_bytes())
    }

    #[test]
    fn records() {
        let pax = parsed("10 path=a\n9 uid=70\n12 path=b/c\n").expect("records");
        assert_eq!((pax.path.as_deref(), pax.uid), (Some(&b"b/c"[..]), Some(70)));
        assert_eq!(parsed("8 path=\n").expect("a record").path, None);
        for bad in [
            "8 path=a\n",
            "11 path=a\n",
            "10 path=a",
            "10 pathxa\n",
            "x path=a\n",
            "10path=a\n",
            "5 =a\n",
            "+10 path=a\n",
            "-1 a=b\n",
            "99999999999999999999 a=b\n",
            "3 \n",
        ] {
            assert!(parsed(bad).is_err(), "{bad:?}");
        }
        assert!(parsed("12 path=a\0b\n").is_err());
    }

    #[test]
    fn times() {
        let of = |text: &str| time(text.as_bytes()).ok();
        assert_eq!(of("1.5"), Some((1, 500_000_000)));
        assert_eq!(of("1."), Some((1, 0)));
        assert_eq!(of("-1.25"), Some((-2, 750_000_000)));
        assert_eq!(of("-1"), Some((-1, 0)));
        assert_eq!(of("0.1234567899"), Some((0, 123_456_789)));
        assert_eq!(of("-0.0000000001"), Some((-1, 999_999_999)));
        for bad in ["", "-", ".5", "1.x", "1e5", "99999999999999999999", "+1"] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
