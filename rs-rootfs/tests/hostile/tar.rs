//! Archives made byte by byte, so that they can be as wrong as is wanted.

/// A header, and what is to be put over it before the checksum.
#[derive(Clone)]
pub(crate) struct Header {
    pub(crate) name: Vec<u8>,
    pub(crate) kind: u8,
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    pub(crate) size: u64,
    pub(crate) link: Vec<u8>,
    pub(crate) device: (u32, u32),
    pub(crate) magic: &'static [u8],
    pub(crate) patches: Vec<(usize, Vec<u8>)>,
}

impl Header {
    pub(crate) fn new(kind: u8, name: impl AsRef<[u8]>) -> Self {
        Self {
            name: name.as_ref().to_vec(),
            kind,
            mode: 0o644,
            uid: 0,
            gid: 0,
            size: 0,
            link: Vec::new(),
            device: (0, 0),
            magic: b"ustar\x0000",
            patches: Vec::new(),
        }
    }

    pub(crate) fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    pub(crate) fn owner(mut self, uid: u64, gid: u64) -> Self {
        (self.uid, self.gid) = (uid, gid);
        self
    }

    pub(crate) fn link(mut self, link: impl AsRef<[u8]>) -> Self {
        self.link = link.as_ref().to_vec();
        self
    }

    pub(crate) fn device(mut self, major: u32, minor: u32) -> Self {
        self.device = (major, minor);
        self
    }

    pub(crate) fn size(mut self, size: u64) -> Self {
        self.size = size;
        self
    }

    pub(crate) fn gnu(mut self) -> Self {
        self.magic = b"ustar  \0";
        self
    }

    pub(crate) fn patch(mut self, at: usize, bytes: impl AsRef<[u8]>) -> Self {
        self.patches.push((at, bytes.as_ref().to_vec()));
        self
    }

    pub(crate) fn block(&self) -> Vec<u8> {
        let mut block = vec![0; 512];
        let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &self.name[..self.name.len().min(100)]);
        put(100, format!("{:07o}\0", self.mode).as_bytes());
        put(108, format!("{:07o}\0", self.uid & 0o7_777_777).as_bytes());
        put(116, format!("{:07o}\0", self.gid & 0o7_777_777).as_bytes());
        put(124, format!("{:011o}\0", self.size & 0o77_777_777_777).as_bytes());
        put(136, b"14524770400\0");
        put(156, &[self.kind]);
        put(157, &self.link[..self.link.len().min(100)]);
        put(257, self.magic);
        put(329, format!("{:07o}\0", self.device.0).as_bytes());
        put(337, format!("{:07o}\0", self.device.1).as_bytes());
        for (at, bytes) in &self.patches {
            put(*at, bytes);
        }
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        block
    }
}

/// An archive.
#[derive(Clone, Default)]
pub(crate) struct Tar(pub Vec<u8>);

impl Tar {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn raw(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.extend_from_slice(bytes.as_ref());
        self
    }

    /// A header as it is, then `data`, padded.
    pub(crate) fn with(self, header: Header, data: impl AsRef<[u8]>) -> Self {
        let data = data.as_ref();
        let padding = data.len().next_multiple_of(512) - data.len();
        self.raw(header.block()).raw(data).raw(vec![0; padding])
    }

    pub(crate) fn add(self, header: Header) -> Self {
        self.with(header, b"")
    }

    pub(crate) fn file(self, name: impl AsRef<[u8]>, data: impl AsRef<[u8]>) -> Self {
        let size = data.as_ref().len() as u64;
        self.with(Header::new(b'0', name).size(size), data)
    }

    pub(crate) fn dir(self, name: impl AsRef<[u8]>) -> Self {
        self.add(Header::new(b'5', name).mode(0o755))
    }

    pub(crate) fn sym(self, name: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> Self {
        self.add(Header::new(b'2', name).mode(0o777).link(to))
    }

    pub(crate) fn hard(self, name: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> Self {
        self.add(Header::new(b'1', name).link(to))
    }

    /// An extended header with these records.
    pub(crate) fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let bytes: Vec<u8> = records.iter().flat_map(|(key, value)| record(key, value)).collect();
        self.extension(b'x', bytes)
    }

    pub(crate) fn extension(self, kind: u8, bytes: impl AsRef<[u8]>) -> Self {
        let size = bytes.as_ref().len() as u64;
        self.with(Header::new(kind, "extension").size(size), bytes)
    }

    /// With the two blocks at the end.
    pub(crate) fn end(self) -> Vec<u8> {
        self.raw([0; 1024]).0
    }
}

/// `LEN KEY=VALUE\n`.
pub(crate) fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let body = key.len() + value.len() + 3;
    let mut length = body + 1;
    while length != body + length.to_string().len() {
        length = body + length.to_string().len();
    }
    let mut record = format!("{length} {key}=").into_bytes();
    record.extend_from_slice(value);
    record.push(b'\n');
    record
}
