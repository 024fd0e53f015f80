//! The capabilities of a file: the attribute `security.capability`, as bytes
//! and as sets (linux/capability.h, `struct vfs_ns_cap_data`). Pure.
//!
//! | revision | bytes | holds |
//! | --- | --- | --- |
//! | 1 | 12 | sets of 32 bits |
//! | 2 | 20 | sets of 64 bits |
//! | 3 | 24 | and the user that is root of the namespace they count in |
//!
//! All numbers are little-endian, and the effective set is a single bit: what
//! is permitted or inherited comes into force at exec, or nothing does.

use chain::sys::caps::CapSets;
use std::ffi::CStr;

/// The attribute's name.
pub const ATTRIBUTE: &CStr = c"security.capability";

const REVISION_MASK: u32 = 0xff00_0000;
const REVISION_1: u32 = 0x0100_0000;
const REVISION_2: u32 = 0x0200_0000;
const REVISION_3: u32 = 0x0300_0000;
const EFFECTIVE: u32 = 1;

/// What a file gives to the program that it becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileCaps {
    /// Gained, within the bounding set.
    pub permitted: u64,
    /// Gained where it is inheritable.
    pub inheritable: u64,
    /// Whether what is gained is in force at once.
    pub effective: bool,
    /// The user id that is root of the user namespace they count in; 0 for
    /// the first one.
    pub root: u32,
}

/// Why sets cannot be those of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what is effective must be nothing, or all that is permitted or inheritable")]
pub struct PartlyEffective;

impl FileCaps {
    /// Reads the attribute's bytes; `None` where they are of no revision.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (words, rest) = bytes.as_chunks::<4>();
        let words: Vec<u32> = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
        let (magic, words) = words.split_first().filter(|_| rest.is_empty())?;
        let (permitted, inheritable, root) = match (magic & REVISION_MASK, words) {
            (REVISION_1, &[p, i]) => (p.into(), i.into(), 0),
            (REVISION_2, &[p, i, high_p, high_i]) => (join(p, high_p), join(i, high_i), 0),
            (REVISION_3, &[p, i, high_p, high_i, root]) => (join(p, high_p), join(i, high_i), root),
            _ => return None,
        };
        Some(Self { permitted, inheritable, effective: magic & EFFECTIVE != 0, root })
    }

    /// The attribute's bytes: revision 3 where there is a root, else 2.
    pub fn to_bytes(&self) -> Vec<u8> {
        let revision = if self.root == 0 { REVISION_2 } else { REVISION_3 };
        let half = |set: u64, shift: u32| u32::try_from(set >> shift & 0xffff_ffff).unwrap_or(0);
        let mut words = vec![
            revision | if self.effective { EFFECTIVE } else { 0 },
            half(self.permitted, 0),
            half(self.inheritable, 0),
            half(self.permitted, 32),
            half(self.inheritable, 32),
        ];
        words.extend((self.root != 0).then_some(self.root));
        words.into_iter().flat_map(u32::to_le_bytes).collect()
    }

    /// The capabilities as three sets.
    pub fn sets(&self) -> CapSets {
        let effective = if self.effective { self.permitted | self.inheritable } else { 0 };
        CapSets { effective, permitted: self.permitted, inheritable: self.inheritable }
    }

    /// The capabilities that `sets` ask for. With `force` what is only partly
    /// effective becomes all effective.
    ///
    /// # Errors
    /// Where a file cannot say it.
    pub fn from_sets(sets: &CapSets, root: u32, force: bool) -> Result<Self, PartlyEffective> {
        let all = sets.permitted | sets.inheritable;
        if !force && sets.effective != 0 && sets.effective != all {
            return Err(PartlyEffective);
        }
        let CapSets { permitted, inheritable, .. } = *sets;
        Ok(Self { permitted, inheritable, effective: sets.effective != 0, root })
    }
}

fn join(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_back() {
        for caps in [
            FileCaps::default(),
            FileCaps { permitted: 1 << 63 | 1, inheritable: 1 << 32, effective: true, root: 0 },
            FileCaps { permitted: 1 << 31, inheritable: 1 << 40, effective: false, root: 100_000 },
        ] {
            let bytes = caps.to_bytes();
            assert_eq!(bytes.len(), if caps.root == 0 { 20 } else { 24 });
            assert_eq!(FileCaps::from_bytes(&bytes), Some(caps));
            for length in (0..bytes.len()).filter(|length| !(caps.root != 0 && *length == 20)) {
                assert_eq!(FileCaps::from_bytes(&bytes[..length]), None);
            }
        }
    }

    #[test]
    fn revision_1() {
        let bytes = [1, 0, 0, 1, 0x20, 0, 0, 0, 0, 0, 0, 0x80];
        let caps = FileCaps { permitted: 1 << 5, inheritable: 1 << 31, effective: true, root: 0 };
        assert_eq!(FileCaps::from_bytes(&bytes), Some(caps));
    }

    #[test]
    fn effective_is_all_or_nothing() {
        let sets = |effective, permitted, inheritable| CapSets { effective, permitted, inheritable };
        assert_eq!(FileCaps::from_sets(&sets(1, 3, 0), 0, false), Err(PartlyEffective));
        assert_eq!(FileCaps::from_sets(&sets(1, 0, 0), 0, false), Err(PartlyEffective));
        assert!(FileCaps::from_sets(&sets(3, 1, 2), 0, false).is_ok_and(|caps| caps.effective));
        assert!(FileCaps::from_sets(&sets(1, 3, 0), 0, true).is_ok_and(|caps| caps.effective));
    }
}
