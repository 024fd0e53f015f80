//! How far it is: one line, on a terminal only, only when it takes a while.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

/// Nothing is shown before this many milliseconds, nor more often than the
/// second number.
const FIRST: u64 = 1000;
const EVERY: u64 = 100;

/// Whether a line stands on the terminal.
static LINE: AtomicBool = AtomicBool::new(false);

/// Takes the line away, whoever wrote it: one that is asked to stop does not
/// wait for who still fetches.
pub(crate) fn clear() {
    if LINE.swap(false, Ordering::Relaxed) {
        write("\r\x1b[K");
    }
}

/// Bytes on their way.
pub struct Progress {
    what: &'static str,
    total: u64,
    done: AtomicU64,
    begun: Instant,
    /// When the line was last written, in milliseconds after `begun`.
    shown: AtomicU64,
    quiet: bool,
}

impl Progress {
    /// Of `total` bytes nothing is done yet.
    pub fn new(what: &'static str, total: u64, quiet: bool) -> Self {
        let quiet = quiet || !std::io::stderr().is_terminal();
        Self { what, total, done: AtomicU64::new(0), begun: Instant::now(), shown: AtomicU64::new(0), quiet }
    }

    /// So many bytes more.
    pub fn advance(&self, bytes: u64) {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if self.quiet || chain::interrupt::caught().is_some() {
            return;
        }
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let shown = self.shown.load(Ordering::Relaxed);
        let due = now >= FIRST && now >= shown + EVERY;
        if due && self.shown.compare_exchange(shown, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            let percent = done.saturating_mul(100).checked_div(self.total).unwrap_or(100).min(100);
            LINE.store(true, Ordering::Relaxed);
            write(&format!("\r\x1b[K{} {percent}% ({} of {})", self.what, size(done), size(self.total)));
        }
    }

    /// Takes the line away.
    pub fn clear(&self) {
        if !self.quiet && self.shown.swap(u64::MAX / 2, Ordering::Relaxed) > 0 {
            clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

fn write(text: &str) {
    let _ = nix::unistd::write(std::io::stderr(), text.as_bytes());
}

/// Bytes for people: three digits and a decimal unit, as docker writes them.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    let mut value = f64::from(u32::try_from(bytes >> 20).unwrap_or(u32::MAX)) * 1_048_576.0
        + f64::from(u32::try_from(bytes & 0xf_ffff).unwrap_or_default());
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = if unit == 0 || value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    let text = format!("{value:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes() {
        let of = |bytes| size(bytes);
        assert_eq!(
            [of(0), of(999), of(1000), of(13_256_000), of(204_000_000)],
            ["0B", "999B", "1kB", "13.3MB", "204MB"]
        );
    }
}
