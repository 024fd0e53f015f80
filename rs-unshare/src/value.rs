//! The values of options: what is accepted, and as what.

use chain::notation::{SIGNALS, Signal};
use chain::table::Wrong;
use chain::user;
use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt;

/// `value` as text. What is no UTF-8 is replaced by what no value has.
pub fn lossy(value: &OsStr) -> Cow<'_, str> {
    value.to_string_lossy()
}

/// The largest id: the one above stands for "no change" in the kernel.
const MAX_ID: u32 = u32::MAX - 1;

/// A decimal number as strtoul(3) reads it, but without a `-`.
pub(crate) fn unsigned(text: &str) -> Option<u32> {
    let digits = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let digits = digits.strip_prefix('+').unwrap_or(digits);
    if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().ok() } else { None }
}

fn id(text: &str) -> Option<u32> {
    unsigned(text).filter(|id| *id <= MAX_ID)
}

/// A user id, as a number.
///
/// # Errors
/// Empty, signed, too large, or no number.
pub fn uid(text: &str) -> Result<u32, Wrong> {
    id(text).ok_or_else(|| Wrong(format!("failed to parse uid: '{text}'")))
}

/// A group id, as a number.
///
/// # Errors
/// As [`uid`].
pub fn gid(text: &str) -> Result<u32, Wrong> {
    id(text).ok_or_else(|| Wrong(format!("failed to parse gid: '{text}'")))
}

/// A user, by number or by name.
///
/// # Errors
/// Neither an id nor a name in the user database.
pub fn user(text: &str) -> Result<u32, Wrong> {
    uid(text).or_else(|wrong| user::user_by_name(text).map(|user| user.uid).ok_or(wrong))
}

/// A group, by number or by name.
///
/// # Errors
/// Neither an id nor a name in the group database.
pub fn group(text: &str) -> Result<u32, Wrong> {
    gid(text).or_else(|wrong| user::group_by_name(text).map(|group| group.gid).ok_or(wrong))
}

/// `uid:gid`, numbers only.
///
/// # Errors
/// Not two ids.
pub fn owner(text: &str) -> Result<(u32, u32), Wrong> {
    let (uid, gid) = text.split_once(':').ok_or_else(|| Wrong(format!("failed to parse owner: '{text}'")))?;
    Ok((self::uid(uid)?, self::gid(gid)?))
}

/// `count` ids that stand side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The first id inside the new user namespace.
    pub inner: u32,
    /// The first id outside.
    pub outer: u32,
    /// How many; at least 1.
    pub count: u32,
}

impl fmt::Display for Range {
    /// As on the command line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.inner, self.outer, self.count)
    }
}

/// A value of `--map-users` or `--map-groups`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeSpec {
    /// The user's subordinate ids, from 0 on inside.
    Auto,
    /// The user's subordinate ids, each to itself.
    SubIds,
    /// Every id of the caller's own user namespace, each to itself.
    All,
    /// These.
    Ids(Range),
}

/// `inner:outer:count`, `outer,inner,count`, `auto`, `subids` or `all`.
///
/// # Errors
/// None of these; no ids at all; ids that end beyond the largest.
pub fn range(text: &str) -> Result<RangeSpec, Wrong> {
    match text {
        "auto" => return Ok(RangeSpec::Auto),
        "subids" => return Ok(RangeSpec::SubIds),
        "all" => return Ok(RangeSpec::All),
        _ => {}
    }
    let wrong = |why: &str| Wrong(format!("invalid mapping '{text}': {why}"));
    let separator = if text.contains(':') { ':' } else { ',' };
    let numbers: Vec<u32> = text
        .split(separator)
        .map(unsigned)
        .collect::<Option<_>>()
        .ok_or_else(|| wrong("expected 'inner:outer:count', 'auto', 'subids' or 'all'"))?;
    let [first, second, count] = numbers[..] else {
        return Err(wrong(&format!("it has {} numbers, not three", numbers.len())));
    };
    let (inner, outer) = if separator == ':' { (first, second) } else { (second, first) };
    if count == 0 {
        return Err(wrong("it maps no id"));
    }
    if inner.max(outer).checked_add(count - 1).is_none_or(|last| last > MAX_ID) {
        return Err(wrong("it goes beyond the largest id"));
    }
    Ok(RangeSpec::Ids(Range { inner, outer, count }))
}

/// Seconds, as a signed 64-bit decimal.
fn seconds(text: &str) -> Option<i64> {
    text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']).parse().ok()
}

/// An offset of the monotonic clock.
///
/// # Errors
/// No signed 64-bit decimal.
pub fn monotonic(text: &str) -> Result<i64, Wrong> {
    seconds(text).ok_or_else(|| Wrong(format!("failed to parse monotonic offset: '{text}'")))
}

/// An offset of the boot-time clock.
///
/// # Errors
/// No signed 64-bit decimal.
pub fn boottime(text: &str) -> Result<i64, Wrong> {
    seconds(text).ok_or_else(|| Wrong(format!("failed to parse boottime offset: '{text}'")))
}

/// The real-time signals that the GNU C library leaves to programs. Other
/// libraries leave fewer; a signal's name must not depend on ours.
const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

/// A signal by name, with or without `SIG`, in any case: `TERM`, `RTMIN+3`.
///
/// # Errors
/// No name of a signal; numbers are none.
pub fn signal(text: &str) -> Result<Signal, Wrong> {
    named_signal(&text.to_ascii_uppercase()).map(Signal).ok_or_else(|| Wrong(format!("unknown signal: {text}")))
}

fn named_signal(text: &str) -> Option<i32> {
    let name = text.strip_prefix("SIG").unwrap_or(text);
    if let Some((_, number)) = SIGNALS.iter().find(|(known, _)| *known == name) {
        return Some(*number);
    }
    let number = |digits: &str| -> Option<i32> {
        if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().ok() } else { None }
    };
    let found = match name.strip_prefix("RTMIN+") {
        Some(above) => RTMIN.checked_add(number(above)?)?,
        None => RTMAX.checked_sub(number(name.strip_prefix("RTMAX-")?)?)?,
    };
    (RTMIN..=RTMAX).contains(&found).then_some(found)
}

/// How the new mounts spread (mount_namespaces(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Propagation {
    /// Not at all.
    #[default]
    Private,
    /// Both ways.
    Shared,
    /// Into the new namespace only.
    Slave,
    /// As it was.
    Unchanged,
}

/// A word for [`Propagation`].
///
/// # Errors
/// None of the four words.
pub fn propagation(text: &str) -> Result<Propagation, Wrong> {
    match text {
        "private" => Ok(Propagation::Private),
        "shared" => Ok(Propagation::Shared),
        "slave" => Ok(Propagation::Slave),
        "unchanged" => Ok(Propagation::Unchanged),
        _ => Err(Wrong(format!("unsupported propagation mode: {text}"))),
    }
}

/// Whether setgroups(2) works in the new user namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetGroups {
    /// It does.
    Allow,
    /// It does not.
    Deny,
}

impl SetGroups {
    /// The kernel's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

/// A word for [`SetGroups`].
///
/// # Errors
/// Neither of the two words.
pub fn setgroups(text: &str) -> Result<SetGroups, Wrong> {
    match text {
        "allow" => Ok(SetGroups::Allow),
        "deny" => Ok(SetGroups::Deny),
        _ => Err(Wrong(format!("unsupported --setgroups argument '{text}'"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids() {
        for (text, is) in [("0", 0), (" 7", 7), ("+7", 7), ("\t+7", 7), ("007", 7), ("4294967294", MAX_ID)] {
            assert_eq!(uid(text), Ok(is), "{text:?}");
        }
        for text in ["", "-1", "+", " ", "0x10", "1 ", "1a", "4294967295", "4294967296", "99999999999999999999", "root"]
        {
            assert!(uid(text).is_err() && gid(text).is_err(), "{text:?}");
        }
        assert_eq!(user("root"), Ok(0));
        assert_eq!(user("12345"), Ok(12345));
        assert!(user("no such user").is_err() && group("-1").is_err());
        assert_eq!(owner("1:2"), Ok((1, 2)));
        assert!(["1", "1:", ":1", "1:2:3", "root:root", "1,2"].into_iter().all(|text| owner(text).is_err()));
    }

    #[test]
    fn ranges() {
        let ids = |inner, outer, count| Ok(RangeSpec::Ids(Range { inner, outer, count }));
        assert_eq!(range("1:2:3"), ids(1, 2, 3));
        assert_eq!(range("1,2,3"), ids(2, 1, 3));
        assert_eq!(range("0:0:4294967295"), ids(0, 0, u32::MAX));
        let wrong = ["", "1:2", "1:2:3:4", "1:2,3", "1,2:3", "a:b:c", "1:2:3 ", "1:2:", "-1:0:1", "0:-1:1", "0:0:-1"];
        let beyond = ["0:0:0", "1:0:4294967295", "4294967296:0:1", "4294967295:0:1", "0:0:4294967296", "Auto", "none"];
        for text in wrong.iter().chain(&beyond) {
            assert!(range(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn seconds_are_signed_64_bit() {
        assert_eq!(monotonic("-5"), Ok(-5));
        assert_eq!(boottime("9223372036854775807"), Ok(i64::MAX));
        for text in ["", "1.5", "1s", "9223372036854775808", "-9223372036854775809", "0x1", "1 "] {
            assert!(monotonic(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn signals() {
        for (text, number) in [
            ("TERM", 15),
            ("sigterm", 15),
            ("SigTerm", 15),
            ("IOT", 6),
            ("cld", 17),
            ("POLL", 29),
            ("PWR", 30),
            ("STKFLT", 16),
            ("RTMIN+0", 34),
            ("rtmin+3", 37),
            ("SIGRTMAX-1", 63),
            ("RTMAX-30", 34),
        ] {
            assert_eq!(signal(text), Ok(Signal(number)), "{text}");
        }
        for text in
            ["", "9", "0", "RTMIN", "RTMAX", "RTMIN+99", "RTMIN+31", "RTMAX-31", "RTMIN+-1", "TERM ", "SIG", "EXIT"]
        {
            assert!(signal(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn words_are_exact() {
        assert!(propagation("Private").is_err() && propagation("").is_err() && setgroups("Deny").is_err());
        assert_eq!(propagation("slave"), Ok(Propagation::Slave));
        assert_eq!(setgroups("allow"), Ok(SetGroups::Allow));
    }
}
