//! Names of capabilities, in words and inside texts, and sets of them as
//! lists of names.

use crate::number;
use chain::capability;
use chain::sys::caps;

/// The capability that `bytes` start with, and what follows: a number (C's
/// base 0, below 64) if they start with a digit, else the longest run of
/// letters and `_`, looked up without regard to case.
///
/// ```
/// use rs_capsh::names::leading;
/// assert_eq!(leading(b"CAP_Kill,x"), Some((5, &b",x"[..])));
/// assert_eq!(leading(b"0x10+p"), Some((16, &b"+p"[..])));
/// assert_eq!(leading(b"kill"), None);
/// ```
pub fn leading(bytes: &[u8]) -> Option<(u32, &[u8])> {
    if let Some((number, rest)) = number::leading(bytes) {
        return Some((u32::try_from(number).ok().filter(|number| *number < 64)?, rest));
    }
    let length = bytes.iter().take_while(|b| b.is_ascii_alphabetic() || **b == b'_').count();
    let (name, rest) = bytes.split_at(length);
    Some((capability::number_of(name)?, rest))
}

/// The capability that `word` names, nothing before or after it.
pub fn whole(word: &[u8]) -> Option<u32> {
    leading(word).filter(|(_, rest)| rest.is_empty()).map(|(number, _)| number)
}

/// How many capabilities are written of where nothing of this process depends
/// on it: those of the running kernel or, where a filter of system calls keeps
/// it from telling, those that have a name.
pub fn count_to_show() -> u32 {
    caps::count().ok().or_else(|| capability::CAPABILITIES.len().try_into().ok()).unwrap_or(64)
}

/// The numbers in `set`, ascending.
pub fn members(set: u64) -> impl Iterator<Item = u32> {
    (0..64).filter(move |number| set >> number & 1 == 1)
}

/// The set of the numbers below `count`: what `all` means.
pub fn all(count: u32) -> u64 {
    1u64.checked_shl(count).map_or(u64::MAX, |bit| bit - 1)
}

/// The names in `set` by number, comma separated; a number where there is no
/// name.
///
/// ```
/// assert_eq!(rs_capsh::names::list(1 | 1 << 5 | 1 << 63), "cap_chown,cap_kill,63");
/// ```
pub fn list(set: u64) -> String {
    members(set).map(capability::name_of).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_names_only() {
        for (word, number) in [("cap_chown", Some(0)), ("CAP_BPF", Some(39)), ("63", Some(63)), ("0x3f", Some(63))] {
            assert_eq!(whole(word.as_bytes()), number, "{word}");
        }
        for word in
            ["", "chown", "all", "64", "08", "-1", "+1", " 1", "cap_chown2", "cap_chown.x", "99999999999999999999"]
        {
            assert_eq!(whole(word.as_bytes()), None, "{word}");
        }
    }

    #[test]
    fn all_of_a_kernel() {
        assert_eq!((all(0), all(1), all(41), all(64)), (0, 1, (1 << 41) - 1, u64::MAX));
    }
}
