//! What the store cannot read any more. Whoever lists or removes goes on
//! without it, and says so at the end: one damaged image is no reason to lose
//! sight of all.

use super::Store;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::{Mutex, PoisonError};

/// A line for each thing, once.
#[derive(Default)]
pub(super) struct Damage(Mutex<BTreeSet<String>>);

impl Store {
    /// Remembers that `what` cannot be read.
    pub(super) fn note(&self, what: impl Display, why: impl Display) {
        self.damage.0.lock().unwrap_or_else(PoisonError::into_inner).insert(format!("{what}: {why}"));
    }

    /// Everything that could not be read so far, with the reason, sorted.
    pub fn damage(&self) -> Vec<String> {
        self.damage.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}
