//! Reads a blob while it is still being fetched.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How often who waits looks for a signal.
const LOOK: Duration = Duration::from_millis(50);

/// How far a download is, told by who writes to who reads.
#[derive(Default)]
pub(crate) struct Flow {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    file: Option<Arc<File>>,
    available: u64,
    /// Checked and named, or why not.
    end: Option<Result<(), String>>,
}

impl Flow {
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    /// The first `available` bytes can be read from `file`.
    pub(crate) fn begin(&self, file: File, available: u64) {
        self.change(|state| {
            state.file = Some(Arc::new(file));
            state.available = available;
        });
    }

    /// So many bytes are there now.
    pub(crate) fn reached(&self, available: u64) {
        self.change(|state| state.available = available);
    }

    /// It is over: all is there and right, or not.
    pub(crate) fn end(&self, how: Result<(), String>) {
        self.change(|state| {
            state.end.get_or_insert(how);
        });
    }

    /// Waits until it is over, or a signal asks to stop.
    pub(crate) fn wait(&self) -> anyhow::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(end) = &state.end {
                return end.clone().map_err(anyhow::Error::msg);
            }
            crate::interrupted()?;
            (state, _) = self.changed.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A reader that waits for what is not there yet. Its end comes only when the
/// whole was found right: a wrong digest is an error in the place of the end.
pub(crate) struct Follow {
    flow: Arc<Flow>,
    at: u64,
}

impl Follow {
    pub(crate) fn new(flow: Arc<Flow>) -> Self {
        Self { flow, at: 0 }
    }
}

impl Read for Follow {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut state = self.flow.state.lock().unwrap_or_else(PoisonError::into_inner);
            let (file, available) = loop {
                match (&state.file, &state.end) {
                    (_, Some(Err(why))) => return Err(io::Error::other(why.clone())),
                    (Some(file), _) if state.available > self.at => break (Arc::clone(file), state.available),
                    (_, Some(Ok(()))) => return Ok(0),
                    _ => state = self.flow.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                }
            };
            drop(state);
            let left = usize::try_from(available - self.at).unwrap_or(usize::MAX).min(into.len());
            let n = file.read_at(&mut into[..left], self.at)?;
            self.at += n as u64;
            // Nothing: the download starts over, and has cut the file.
            if n > 0 || into.is_empty() {
                return Ok(n);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn follows_and_ends_as_the_download_does() {
        let scratch = chain::testing::Scratch::new();
        let path = scratch.join("part");
        let mut to = File::create(&path).expect("a file");
        let flow = Arc::new(Flow::default());
        let mut follow = Follow::new(Arc::clone(&flow));
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            (follow.read_to_end(&mut all).map_err(|error| error.to_string()), all)
        });
        to.write_all(b"abc").expect("written");
        flow.begin(File::open(&path).expect("it is there"), 3);
        to.write_all(b"def").expect("written");
        flow.reached(6);
        flow.end(Err("wrong digest".to_owned()));
        let (end, _) = reader.join().expect("no panic");
        assert_eq!(end, Err("wrong digest".to_owned()));
        assert_eq!(flow.wait().map_err(|why| why.to_string()), Err("wrong digest".to_owned()));
    }
}
