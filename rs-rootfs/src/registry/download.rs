//! Layers on their way into the store, three at a time, while whoever unpacks
//! already reads them.

use super::http::is_passing;
use super::retry::Tries;
use super::stream::{Flow, Follow};
use super::{Repository, refused};
use crate::digest::Digest;
use crate::document::{Descriptor, Manifest};
use crate::image::{Contents, Options};
use crate::progress::Progress;
use crate::reference::Reference;
use crate::store::{Part, Store};
use anyhow::{Context, bail};
use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// Downloads at a time where nothing else is said.
const JOBS: usize = 3;
/// How often who waits for a thread looks for a signal.
const LOOK: Duration = Duration::from_micros(200);
/// How long a thread has to end after a signal.
const PUT_AWAY: Duration = Duration::from_secs(1);

/// What goes into the store when all layers are there, in this order.
pub(super) struct Record {
    pub(super) reference: Reference,
    pub(super) digest: Digest,
    pub(super) documents: Vec<(Digest, Vec<u8>)>,
}

struct Shared {
    store: Arc<Store>,
    repository: Repository,
    layers: Vec<(Descriptor, Arc<Flow>)>,
    next: AtomicUsize,
    left: AtomicUsize,
    record: Mutex<Option<Record>>,
    progress: Progress,
}

/// Layers on their way. Dropped, it stops; what came stays for the next time.
pub struct Download {
    shared: Arc<Shared>,
    /// For each layer of the image, the one of `shared` that it is.
    flows: Vec<Arc<Flow>>,
    threads: Vec<JoinHandle<()>>,
}

impl Download {
    pub(super) fn start(
        store: &Arc<Store>,
        repository: Repository,
        manifest: &Manifest,
        record: Record,
        options: &Options,
    ) -> anyhow::Result<Self> {
        // A layer that stands twice in an image is fetched once.
        let mut layers: Vec<(Descriptor, Arc<Flow>)> = Vec::new();
        let mut flows = Vec::new();
        for layer in &manifest.layers {
            if let Some((first, flow)) = layers.iter().find(|(other, _)| other.digest == layer.digest) {
                if first.size != layer.size {
                    bail!("blob {} has two sizes, {} and {}", layer.digest, first.size, layer.size);
                }
                flows.push(Arc::clone(flow));
                continue;
            }
            let flow = Arc::new(Flow::default());
            layers.push((layer.clone(), Arc::clone(&flow)));
            flows.push(flow);
        }
        let total = layers.iter().fold(0, |sum: u64, (layer, _)| sum.saturating_add(layer.size));
        let shared = Arc::new(Shared {
            store: Arc::clone(store),
            repository,
            next: AtomicUsize::new(0),
            left: AtomicUsize::new(layers.len()),
            layers,
            record: Mutex::new(Some(record)),
            progress: Progress::new("fetching", total, options.quiet),
        });
        if shared.layers.is_empty() {
            shared.record()?;
        }
        let jobs = options.jobs.unwrap_or(JOBS).clamp(1, 64).min(shared.layers.len());
        let verify = options.verify;
        let mut threads = Vec::new();
        for _ in 0..jobs {
            let work = Arc::clone(&shared);
            let thread = Builder::new().name("fetch".to_owned()).spawn(move || work.work(verify));
            match thread {
                Ok(thread) => threads.push(thread),
                Err(error) if threads.is_empty() => bail!("cannot start a thread: {}", crate::reason(&error)),
                // Those that are there do all of the work.
                Err(_) => break,
            }
        }
        Ok(Self { shared, flows, threads })
    }

    /// Waits until all layers are in the store, and the image with them.
    ///
    /// # Errors
    /// The first layer that is not.
    pub fn wait(&self) -> anyhow::Result<()> {
        for (i, flow) in self.flows.iter().enumerate() {
            flow.wait().with_context(|| format!("layer {}", i + 1))?;
        }
        Ok(())
    }
}

impl Contents for Arc<Download> {
    fn open(&mut self, index: usize) -> anyhow::Result<Box<dyn Read + Send>> {
        let flow = self.flows.get(index).context("no such layer")?;
        Ok(Box::new(Follow::new(Arc::clone(flow))))
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        self.shared.repository.give_up();
        for thread in self.threads.drain(..) {
            // Whoever is asked to stop waits until files are put away, but
            // not for an answer from afar.
            let begun = Instant::now();
            while !thread.is_finished() && (crate::interrupted().is_ok() || begun.elapsed() < PUT_AWAY) {
                std::thread::sleep(LOOK);
            }
            if thread.is_finished() {
                let _ = thread.join();
            }
        }
    }
}

impl Shared {
    /// Fetches layers until none is left. Whoever ends the last one writes
    /// down the image.
    fn work(&self, verify: bool) {
        loop {
            let next = self.next.fetch_add(1, Ordering::Relaxed);
            let Some((layer, flow)) = self.layers.get(next).filter(|_| !self.repository.is_given_up()) else { return };
            let mut result = self.fetch(layer, flow, verify);
            if result.is_ok() && self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
                result = self.record();
            }
            let Err(error) = result else {
                flow.end(Ok(()));
                continue;
            };
            // The others cannot save the image any more: whoever waits for
            // one of them is told the cause.
            let cause = crate::told(&error);
            for (_, every) in &self.layers {
                every.end(Err(cause.clone()));
            }
            self.repository.give_up();
            return;
        }
    }

    fn record(&self) -> anyhow::Result<()> {
        let record = self.record.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(record) = record else { return Ok(()) };
        for (digest, bytes) in &record.documents {
            self.store.put_blob(digest, bytes)?;
        }
        self.progress.clear();
        Ok(self.store.set_ref(&record.reference, &record.digest)?)
    }

    /// One blob, from wherever an earlier attempt left it.
    fn fetch(&self, layer: &Descriptor, flow: &Flow, verify: bool) -> anyhow::Result<()> {
        // Bytes may have been lost since it was stored.
        let cut = self.store.blob(&layer.digest).is_some() && self.store.whole_blob(layer).is_none();
        if verify || cut {
            self.store.verify_blob(&layer.digest)?;
        }
        let Some(mut part) = self.store.part(&layer.digest, layer.size)? else {
            let file = self.store.blob(&layer.digest).context("it was there a moment ago")?;
            if file.metadata()?.len() != layer.size {
                bail!("blob {}: {} bytes, not {}", layer.digest, file.metadata()?.len(), layer.size);
            }
            self.progress.advance(layer.size);
            flow.begin(file, layer.size);
            return Ok(());
        };
        self.progress.advance(part.length());
        let reader = part.reader()?;
        // Nobody reads what another run left before it is known to be right.
        let inherited = part.length() > 0;
        let early = if inherited {
            Some(reader)
        } else {
            flow.begin(reader, 0);
            None
        };
        self.complete(layer, flow, &mut part)?;
        if inherited && !part.is_right() {
            part.restart()?;
            self.complete(layer, flow, &mut part)?;
        }
        part.finish()?;
        if let Some(reader) = early {
            flow.begin(reader, layer.size);
        }
        Ok(())
    }

    /// Fetches what is missing, however often the connection breaks.
    fn complete(&self, layer: &Descriptor, flow: &Flow, part: &mut Part<'_>) -> anyhow::Result<()> {
        let (mut tries, mut restarted) = (Tries::default(), false);
        while part.length() < layer.size {
            let before = part.length();
            let Err(trouble) = self.attempt(layer, flow, part, &mut restarted) else { continue };
            if part.length() > before {
                tries.progress();
            }
            let passing = trouble.downcast_ref::<std::io::Error>().is_some_and(is_passing);
            if !passing || !tries.wait(None, &|| self.repository.is_given_up()) {
                return Err(trouble.context(format!("blob {}", layer.digest)));
            }
        }
        Ok(())
    }

    /// Asks for what is missing and takes what comes.
    fn attempt(
        &self,
        layer: &Descriptor,
        flow: &Flow,
        part: &mut Part<'_>,
        restarted: &mut bool,
    ) -> anyhow::Result<()> {
        let from = part.length();
        let answer = self.repository.get(&format!("blobs/{}", layer.digest), "", from)?;
        match answer.status {
            206 if from > 0 => check_range(answer.header("content-range"), from, layer.size)?,
            200 => {
                let length = answer.header("content-length").and_then(|length| length.parse::<u64>().ok());
                if let Some(length) = length.filter(|length| *length != layer.size) {
                    bail!("{} bytes, not {}", length, layer.size);
                }
            }
            416 if from > 0 && !*restarted => {}
            _ => return Err(refused(answer, "blob".to_owned()).into()),
        }
        if from > 0 && answer.status != 206 {
            *restarted = true;
            flow.reached(0);
            part.restart()?;
        }
        if answer.status == 416 {
            return Ok(());
        }
        // Not one byte more than was announced.
        let mut body = answer.into_reader().take(layer.size - part.length());
        let mut block = vec![0; 1 << 18];
        while part.length() < layer.size {
            if self.repository.is_given_up() {
                bail!("given up");
            }
            let n = match body.read(&mut block) {
                Ok(0) => return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into()),
                Ok(n) => n,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            part.write(&block[..n])?;
            flow.reached(part.length());
            self.progress.advance(n as u64);
        }
        Ok(())
    }
}

/// `bytes FROM-LAST/SIZE` must be what is missing, to the end.
fn check_range(range: Option<&str>, from: u64, size: u64) -> anyhow::Result<()> {
    let parts = || {
        let (range, whole) = range?.trim().strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let whole = if whole == "*" { size } else { whole.parse().ok()? };
        Some((first.parse::<u64>().ok()?, last.parse::<u64>().ok()?, whole))
    };
    match parts() {
        Some((first, last, whole)) if first == from && last.checked_add(1) == Some(size) && whole == size => Ok(()),
        _ => bail!("asked for bytes {from} to {size}, the answer is '{}'", range.unwrap_or_default().escape_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        assert!(check_range(Some("bytes 5-9/10"), 5, 10).is_ok());
        assert!(check_range(Some("bytes 5-9/*"), 5, 10).is_ok());
        for bad in
            ["bytes 4-9/10", "bytes 5-8/10", "bytes 5-9/11", "bytes */10", "5-9/10", "bytes 5-18446744073709551615/10"]
        {
            assert!(check_range(Some(bad), 5, 10).is_err(), "{bad}");
        }
        assert!(check_range(None, 5, 10).is_err());
    }
}
