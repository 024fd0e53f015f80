//! From an image's layers to blocks of tar, in threads of their own.
//!
//! One thread opens the layers, one after the other, and inflates; each
//! digest to be checked has a thread; the caller's reads the blocks and
//! writes files. Blocks are shared, not copied, and used again. A thread that
//! ends closes its end of a channel, and so ends the others.

use crate::compress::Decoder;
use crate::digest::{Digest, Hasher};
use crate::image::{Contents, Layer};
use crate::progress::Progress;
use anyhow::{Context, anyhow, bail, ensure};
use std::io::{self, BufRead, Read};
use std::ops::{Deref, Range};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// A block's size: small enough for the processor's cache, large enough that
/// passing it costs nothing. A multiple of tar's 512.
const BLOCK: usize = 256 << 10;
/// How many blocks may wait.
const QUEUE: usize = 8;
/// How often a waiting reader looks for an interrupt.
const LOOK: Duration = Duration::from_millis(50);

type Block = Arc<Vec<u8>>;

/// What the reading thread tells.
enum Part {
    Data(Block),
    /// The layer ended, with as many bytes as it had compressed.
    End(u64),
    Failed(anyhow::Error),
}

/// Blocks that are used again once nobody reads them any more.
#[derive(Default)]
struct Pool(Vec<Block>);

impl Pool {
    /// A block nobody else holds, full size.
    fn take(&mut self) -> Block {
        let free = self.0.iter().position(|block| Arc::strong_count(block) == 1);
        let mut block = match free {
            Some(index) => self.0.swap_remove(index),
            None => Arc::new(Vec::new()),
        };
        if let Some(bytes) = Arc::get_mut(&mut block) {
            bytes.resize(BLOCK, 0);
        }
        block
    }

    /// Fills a block from `read`, and keeps it for later.
    fn fill(&mut self, mut read: impl FnMut(&mut [u8]) -> io::Result<usize>) -> io::Result<Block> {
        let mut block = self.take();
        // `take` gives a block that is nobody else's.
        let Some(bytes) = Arc::get_mut(&mut block) else { return Err(io::Error::other("a block is shared")) };
        let mut filled = 0;
        let mut result = Ok(());
        while filled < bytes.len() {
            match read(&mut bytes[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        bytes.truncate(filled);
        self.0.push(Arc::clone(&block));
        result.map(|()| block)
    }
}

/// A digest computed in a thread of its own.
struct Hashing {
    blocks: SyncSender<Block>,
    thread: JoinHandle<Digest>,
}

impl Hashing {
    fn start(expected: &Digest) -> io::Result<Self> {
        let mut hasher = Hasher::new(expected.algorithm());
        let (blocks, from) = sync_channel::<Block>(QUEUE);
        let thread = std::thread::Builder::new().name("hash".to_owned()).spawn(move || {
            for block in from {
                hasher.update(&block);
            }
            hasher.finish()
        })?;
        Ok(Self { blocks, thread })
    }

    fn add(&self, block: &Block) {
        // The thread ends only when this end is closed.
        let _ = self.blocks.send(Arc::clone(block));
    }

    fn finish(self) -> anyhow::Result<Digest> {
        drop(self.blocks);
        self.thread.join().map_err(|_| anyhow!("the hashing thread failed"))
    }
}

/// The bytes of a blob as they come, counted and hashed.
struct Compressed {
    from: Box<dyn Read + Send>,
    pool: Pool,
    block: Block,
    at: usize,
    /// Bytes that are still to come; `None` where nobody said how many.
    left: Option<u64>,
    count: u64,
    hashing: Option<Hashing>,
    progress: Arc<Progress>,
}

impl Compressed {
    fn new(from: Box<dyn Read + Send>, layer: &Layer, progress: &Arc<Progress>) -> io::Result<Self> {
        let hashing = layer.blob.as_ref().map(|blob| Hashing::start(&blob.digest)).transpose()?;
        Ok(Self {
            progress: Arc::clone(progress),
            from,
            pool: Pool::default(),
            block: Block::default(),
            at: 0,
            left: layer.blob.as_ref().map(|blob| blob.size),
            count: 0,
            hashing,
        })
    }

    /// All of the next block at once.
    fn next_block(&mut self) -> io::Result<Block> {
        self.fill_buf()?;
        if self.at == 0 {
            self.at = self.block.len();
            return Ok(Arc::clone(&self.block));
        }
        Ok(Block::default())
    }

    /// Reads what is left, checks size and digest.
    fn check(&mut self, layer: &Layer) -> anyhow::Result<()> {
        let Some(blob) = &layer.blob else { return Ok(()) };
        loop {
            let length = self.fill_buf().map_err(described)?.len();
            if length == 0 {
                break;
            }
            self.consume(length);
        }
        if let Some(left @ 1..) = self.left {
            bail!("the blob is {} bytes long, not {}: it is cut off", blob.size - left, blob.size);
        }
        if let Some(hashing) = self.hashing.take() {
            let found = hashing.finish()?;
            ensure!(found == blob.digest, "the blob's digest is {found}, not {}", blob.digest);
        }
        Ok(())
    }
}

impl Read for Compressed {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?;
        let length = bytes.len().min(out.len());
        out[..length].copy_from_slice(&bytes[..length]);
        self.consume(length);
        Ok(length)
    }
}

impl BufRead for Compressed {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.block.len() && self.left != Some(0) {
            let (from, left) = (&mut self.from, &mut self.left);
            self.block = self.pool.fill(|bytes| {
                let most =
                    left.map_or(bytes.len(), |left| usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len()));
                let n = if most == 0 { 0 } else { from.read(&mut bytes[..most])? };
                if let Some(left) = left {
                    *left -= n as u64;
                }
                Ok(n)
            })?;
            self.at = 0;
            self.count += self.block.len() as u64;
            self.progress.advance(self.block.len() as u64);
            if let Some(hashing) = &self.hashing {
                hashing.add(&self.block);
            }
        }
        Ok(&self.block[self.at..])
    }

    fn consume(&mut self, amount: usize) {
        self.at = (self.at + amount).min(self.block.len());
    }
}

/// An error with the C library's words.
fn described(error: io::Error) -> anyhow::Error {
    match error.raw_os_error() {
        Some(_) => anyhow!("{}", crate::reason(&error)),
        None => error.into(),
    }
}

/// Reads one layer and sends its blocks. `None` when nobody listens any more.
fn read_layer(
    from: Box<dyn Read + Send>,
    layer: &Layer,
    to: &SyncSender<Part>,
    progress: &Arc<Progress>,
) -> anyhow::Result<Option<u64>> {
    let compressed = Compressed::new(from, layer, progress).map_err(described).context("cannot start a thread")?;
    let mut decoder = Decoder::new(compressed).map_err(described)?;
    // Bytes that come out as they went in have one digest, not two.
    let is_blob = |diff_id: &Digest| layer.blob.as_ref().is_some_and(|blob| blob.digest == *diff_id);
    let same = decoder.is_plain() && layer.diff_id.as_ref().is_some_and(is_blob);
    let hashing = layer.diff_id.as_ref().filter(|_| !same).map(Hashing::start).transpose();
    let hashing = hashing.map_err(described).context("cannot start a thread")?;
    let mut pool = Pool::default();
    loop {
        let next = match &mut decoder {
            Decoder::Plain(from) => from.next_block(),
            decoder => pool.fill(|bytes| decoder.read(bytes)),
        };
        let block = match next {
            Ok(block) => block,
            // A blob that is not what its digest says is why it is corrupt.
            Err(error) => return decoder.source().check(layer).and_then(|()| Err(described(error))),
        };
        if block.is_empty() {
            break;
        }
        if let Some(hashing) = &hashing {
            hashing.add(&block);
        }
        if to.send(Part::Data(block)).is_err() {
            return Ok(None);
        }
    }
    decoder.source().check(layer)?;
    if let (Some(hashing), Some(diff_id)) = (hashing, &layer.diff_id) {
        let found = hashing.finish()?;
        ensure!(found == *diff_id, "its contents hash to {found}, not to the diff id {diff_id}");
    }
    Ok(Some(decoder.source().count))
}

/// Bytes of a layer that stay when more is read.
pub struct Piece {
    block: Block,
    range: Range<usize>,
}

impl Deref for Piece {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.block[self.range.clone()]
    }
}

/// The blocks of all layers of an image.
pub struct Input {
    parts: Option<Receiver<Part>>,
    block: Block,
    at: usize,
    ended: bool,
    any: bool,
    total: u64,
    position: u64,
}

impl Input {
    /// Begins to read `layers`, which `contents` opens.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn start(layers: Vec<Layer>, mut contents: Box<dyn Contents>, quiet: bool) -> anyhow::Result<Self> {
        let (to, parts) = sync_channel(QUEUE);
        let total = layers.iter().filter_map(|layer| Some(layer.blob.as_ref()?.size)).fold(0, u64::saturating_add);
        // Whoever fetches blobs shows how far that is.
        let progress = Arc::new(Progress::new("unpacking", total, quiet || total == 0));
        let read = move || {
            for (index, layer) in layers.iter().enumerate() {
                let read = contents.open(index).and_then(|from| read_layer(from, layer, &to, &progress));
                let part = match read {
                    Ok(Some(count)) => Part::End(count),
                    Ok(None) => return,
                    Err(error) => Part::Failed(error),
                };
                let failed = matches!(part, Part::Failed(_));
                if to.send(part).is_err() || failed {
                    return;
                }
            }
        };
        std::thread::Builder::new()
            .name("read".to_owned())
            .spawn(read)
            .map_err(described)
            .context("cannot start a thread")?;
        Ok(Self { parts: Some(parts), ..Self::of(Vec::new()) })
    }

    /// One layer that is in memory.
    pub fn of(bytes: Vec<u8>) -> Self {
        Self { parts: None, any: !bytes.is_empty(), block: Arc::new(bytes), at: 0, ended: false, total: 0, position: 0 }
    }

    /// The next bytes of this layer, at most `most`; empty at its end.
    ///
    /// # Errors
    /// The layer cannot be read, or is not what its digest says.
    pub fn chunk(&mut self, most: u64) -> anyhow::Result<&[u8]> {
        if self.at == self.block.len() && !self.ended {
            self.refill()?;
        }
        let start = self.at;
        let length = usize::try_from(most).unwrap_or(usize::MAX).min(self.block.len() - start);
        self.at += length;
        self.position += length as u64;
        Ok(&self.block[start..start + length])
    }

    /// The last `length` bytes that were given out, to be kept.
    pub(crate) fn last(&self, length: usize) -> Piece {
        Piece { block: Arc::clone(&self.block), range: self.at - length..self.at }
    }

    fn refill(&mut self) -> anyhow::Result<()> {
        let Some(parts) = &self.parts else {
            self.ended = true;
            return Ok(());
        };
        let part = loop {
            match parts.recv_timeout(LOOK) {
                Ok(part) => break part,
                Err(RecvTimeoutError::Timeout) => crate::interrupted()?,
                Err(RecvTimeoutError::Disconnected) => bail!("the reading thread failed"),
            }
        };
        match part {
            Part::Data(block) => {
                self.any = true;
                self.block = block;
                self.at = 0;
            }
            Part::End(count) => {
                self.total += count;
                self.ended = true;
            }
            Part::Failed(error) => return Err(error),
        }
        Ok(())
    }

    /// Whether this layer has not given one byte.
    pub fn is_empty(&self) -> bool {
        !self.any
    }

    /// How many bytes of this layer were given out.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Bytes read of all layers so far, as they were compressed.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Reads to the end of this layer, which only then is known to be good,
    /// and goes on to the next.
    ///
    /// # Errors
    /// See [`Input::chunk`].
    pub fn finish_layer(&mut self) -> anyhow::Result<()> {
        while !self.chunk(u64::MAX)?.is_empty() {}
        (self.ended, self.any, self.position) = (false, false, 0);
        Ok(())
    }
}
