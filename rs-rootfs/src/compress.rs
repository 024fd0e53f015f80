//! Decompression: by the first bytes, never by a name; every member, frame
//! and stream; one wrapping only.

use std::io::{self, BufRead, Read};

/// The largest window or dictionary, in bytes: 128 MiB.
const WINDOW_LOG: u32 = 27;
/// What liblzma needs for a dictionary of that size.
const XZ_MEMORY: u64 = (1 << WINDOW_LOG) + (1 << 20);

/// Bytes as a tar reader wants them.
pub(crate) enum Decoder<R: BufRead> {
    /// They were not compressed.
    Plain(R),
    /// RFC 1952.
    Gzip(Box<Gzip<R>>),
    /// RFC 8878.
    Zstd(zstd::stream::read::Decoder<'static, R>),
    /// The .xz format.
    Xz(liblzma::bufread::XzDecoder<R>),
}

/// How a stream begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Magic {
    Gzip,
    Zstd,
    Xz,
    Other,
}

fn magic(head: &[u8]) -> Magic {
    match head {
        [0x1f, 0x8b, ..] => Magic::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Magic::Zstd,
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Magic::Xz,
        _ => Magic::Other,
    }
}

impl<R: BufRead> Decoder<R> {
    /// Looks at the first bytes of `from` and takes the fitting one.
    pub(crate) fn new(mut from: R) -> io::Result<Self> {
        Ok(match magic(from.fill_buf()?) {
            Magic::Other => Self::Plain(from),
            Magic::Gzip => Self::Gzip(Box::new(Gzip::new(from))),
            Magic::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(from)?;
                decoder.window_log_max(WINDOW_LOG)?;
                Self::Zstd(decoder)
            }
            Magic::Xz => {
                let all = liblzma::stream::CONCATENATED;
                let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, all).map_err(io::Error::other)?;
                Self::Xz(liblzma::bufread::XzDecoder::new_stream(from, stream))
            }
        })
    }

    /// Whether the bytes come out as they went in.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    /// What it reads from.
    pub(crate) fn source(&mut self) -> &mut R {
        match self {
            Self::Plain(from) => from,
            Self::Gzip(gzip) => &mut gzip.from,
            Self::Zstd(decoder) => decoder.get_mut(),
            Self::Xz(decoder) => decoder.get_mut(),
        }
    }
}

impl<R: BufRead> Read for Decoder<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(from) => from.read(out),
            Self::Gzip(gzip) => gzip.read(out),
            Self::Zstd(decoder) => decoder.read(out),
            Self::Xz(decoder) => decoder.read(out),
        }
    }
}

/// All members of a gzip stream. flate2's own reader takes the zeros that
/// some tools pad with for a bad header.
pub(crate) struct Gzip<R> {
    from: R,
    inflate: flate2::Decompress,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Member,
    Between,
    Padding,
}

impl<R: BufRead> Gzip<R> {
    fn new(from: R) -> Self {
        Self { from, inflate: member(), state: State::Member }
    }

    /// After a member: another one, zeros to the end, or the end.
    fn between(&mut self) -> io::Result<bool> {
        let head = self.from.fill_buf()?;
        match (self.state, head.first()) {
            (_, None) => Ok(false),
            (_, Some(0)) => {
                let zeros = head.iter().take_while(|b| **b == 0).count();
                self.from.consume(zeros);
                self.state = State::Padding;
                Ok(true)
            }
            (State::Between, Some(0x1f)) => {
                self.inflate = member();
                self.state = State::Member;
                Ok(true)
            }
            _ => Err(bad("gzip: rubbish after the end")),
        }
    }
}

/// The decompressor of one member: its header, checksum and length too.
fn member() -> flate2::Decompress {
    flate2::Decompress::new_gzip(15)
}

fn bad(text: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.state != State::Member {
                if self.between()? {
                    continue;
                }
                return Ok(0);
            }
            let input = self.from.fill_buf()?;
            let at_end = input.is_empty();
            let (had_in, had_out) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self.inflate.decompress(input, out, flate2::FlushDecompress::None);
            let status = status.map_err(|_| bad("gzip: the data is corrupt"))?;
            let taken = usize::try_from(self.inflate.total_in() - had_in).unwrap_or_default();
            let given = usize::try_from(self.inflate.total_out() - had_out).unwrap_or_default();
            self.from.consume(taken);
            if status == flate2::Status::StreamEnd {
                self.state = State::Between;
            } else if at_end && given == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "gzip: cut off before its end"));
            }
            if given > 0 || out.is_empty() {
                return Ok(given);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    fn plain(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        Decoder::new(io::BufReader::with_capacity(7, bytes))?.read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn gzip_members_and_padding() {
        let two = [gzip(b"one "), gzip(b"two")].concat();
        assert_eq!(plain(&two).expect("two members"), b"one two");
        assert_eq!(plain(&[&two[..], &[0; 700]].concat()).expect("padded"), b"one two");
        assert!(plain(&[&two[..], b"rubbish"].concat()).is_err());
        assert!(plain(&[&two[..], &[0; 7], &gzip(b"three")].concat()).is_err());
        assert!(plain(&two[..two.len() - 1]).is_err());
        for at in [two.len() - 1, two.len() - 5] {
            let mut broken = two.clone();
            broken[at] ^= 1;
            assert!(plain(&broken).is_err(), "trailer byte {at}");
        }
    }

    #[test]
    fn zstd_frames() {
        let frame = |bytes: &[u8]| zstd::bulk::compress(bytes, 1).expect("memory");
        let skip = [0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
        let all = [&skip[..], &frame(b"one "), &skip, &frame(b"two"), &skip].concat();
        assert_eq!(plain(&all).expect("frames"), b"one two");
        assert!(plain(&[&all[..], b"rubbish"].concat()).is_err());
        assert!(plain(&frame(b"some text")[..10]).is_err());
    }

    #[test]
    fn xz_streams() {
        let stream = |bytes: &[u8]| {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
            encoder.write_all(bytes).expect("memory");
            encoder.finish().expect("memory")
        };
        let two = [stream(b"one "), stream(b"two")].concat();
        assert_eq!(plain(&two).expect("streams"), b"one two");
        assert!(plain(&two[..two.len() - 1]).is_err());
        assert!(plain(&[&two[..], b"rubbish."].concat()).is_err());
    }
}
