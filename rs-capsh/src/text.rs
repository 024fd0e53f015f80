//! Capability text: the three sets of a process or a file as people write
//! them (cap_from_text(3), cap_text_formats(7)). Pure: sets in, text out.
//!
//! ```text
//! text    = { white } [ clause { white+ clause } ] { white }
//! clause  = [ list ] '=' [ flags ]                  without a list: all
//!         | list ('+'|'-') flags1
//!         | list '=+' flags1 | list '=-' flags1
//!         then { ('+'|'-') flags1 }                 only after a list
//! list    = item { ',' item }       item = 'all' | name | number
//! flags   = { 'e' | 'i' | 'p' }     flags1: at least one
//! white   = space, \t, \n, \v, \f, \r
//! ```
//!
//! Clauses act from left to right on sets that are empty at first: `=` clears
//! the listed capabilities in all three sets and raises the flags, `+` raises
//! them, `-` lowers them. `=+F` is `=F`; `=-F` only clears. `all` is what the
//! kernel has; numbers go up to 63. Names may be in any case, flags may not.

use crate::names::{all, leading, list, members};
use crate::number::is_blank;

pub use chain::sys::caps::CapSets;

/// Why a text cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} at byte {at}")]
pub struct Mistake {
    /// Where: an offset in bytes.
    pub at: usize,
    /// What would have been right there.
    pub expected: &'static str,
}

/// A set of flags: `e` is 1, `p` is 2, `i` is 4, so that the order of values
/// is the order in which groups are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Flags(u8);

impl Flags {
    const NONE: Self = Self(0);
    const ALL: Self = Self(7);

    /// The flags that `number` has in `sets`.
    fn of(sets: &CapSets, number: u32) -> Self {
        let has = |set: u64| u8::from(set >> number & 1 == 1);
        Self(has(sets.effective) | has(sets.permitted) << 1 | has(sets.inheritable) << 2)
    }

    fn letter(byte: u8) -> Option<Self> {
        match byte {
            b'e' => Some(Self(1)),
            b'p' => Some(Self(2)),
            b'i' => Some(Self(4)),
            _ => None,
        }
    }

    fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The letters, always in the order e, i, p.
    fn letters(self) -> String {
        [(1, 'e'), (4, 'i'), (2, 'p')].iter().filter(|(bit, _)| self.0 & bit != 0).map(|(_, letter)| letter).collect()
    }

    /// Raises or lowers these flags for the members of `set`.
    fn put(self, sets: &mut CapSets, set: u64, raise: bool) {
        for (bit, into) in [(1, &mut sets.effective), (2, &mut sets.permitted), (4, &mut sets.inheritable)] {
            if self.0 & bit != 0 {
                *into = if raise { *into | set } else { *into & !set };
            }
        }
    }
}

/// Reads `text`; `count` is how many capabilities `all` means.
///
/// ```
/// use rs_capsh::text::parse;
/// let sets = parse(b"=p cap_kill+e cap_chown-p", 41).unwrap();
/// assert_eq!((sets.effective, sets.permitted, sets.inheritable), (1 << 5, (1 << 41) - 2, 0));
/// assert_eq!(parse(b"cap_kill+", 41).unwrap_err().to_string(), "expected e, i or p at byte 9");
/// ```
///
/// # Errors
/// Where the text leaves the grammar.
pub fn parse(text: &[u8], count: u32) -> Result<CapSets, Mistake> {
    let mut reader = Reader { text, at: 0, count };
    let mut sets = CapSets::default();
    loop {
        while reader.peek().is_some_and(is_blank) {
            reader.at += 1;
        }
        if reader.peek().is_none() {
            return Ok(sets);
        }
        reader.clause(&mut sets)?;
    }
}

/// Reads a bare `list`: `cap_kill,cap_chown` or `all`.
///
/// # Errors
/// Where it is none; also where it is empty.
pub fn parse_list(list: &[u8], count: u32) -> Result<u64, Mistake> {
    let mut reader = Reader { text: list, at: 0, count };
    let set = reader.list()?;
    if reader.peek().is_some() { Err(reader.expected("a comma or the end")) } else { Ok(set) }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    count: u32,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn expected(&self, expected: &'static str) -> Mistake {
        Mistake { at: self.at, expected }
    }

    /// Steps over `byte` if it is next.
    fn takes(&mut self, byte: u8) -> bool {
        let next = self.peek() == Some(byte);
        self.at += usize::from(next);
        next
    }

    fn clause(&mut self, sets: &mut CapSets) -> Result<(), Mistake> {
        let bare = self.peek() == Some(b'=');
        let set = if bare { all(self.count) } else { self.list()? };
        if self.takes(b'=') {
            Flags::ALL.put(sets, set, false);
            // `=+F` and `=-F` are read by the loop below: what `-` lowers is
            // cleared already.
            if bare || !matches!(self.peek(), Some(b'+' | b'-')) {
                self.flags().put(sets, set, true);
            }
        } else if !matches!(self.peek(), Some(b'+' | b'-')) {
            return Err(self.expected("one of = + -"));
        }
        while !bare && let Some(sign @ (b'+' | b'-')) = self.peek() {
            self.at += 1;
            let flags = self.flags();
            if flags == Flags::NONE {
                return Err(self.expected("e, i or p"));
            }
            flags.put(sets, set, sign == b'+');
        }
        match self.peek() {
            Some(byte) if !is_blank(byte) => Err(self.expected("e, i, p or the end of the clause")),
            _ => Ok(()),
        }
    }

    fn list(&mut self) -> Result<u64, Mistake> {
        let mut set = 0;
        loop {
            set |= self.item()?;
            if !self.takes(b',') {
                return Ok(set);
            }
        }
    }

    fn item(&mut self) -> Result<u64, Mistake> {
        let rest = &self.text[self.at..];
        if rest.len() >= 3 && rest[..3].eq_ignore_ascii_case(b"all") {
            let goes_on = rest.get(3).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
            if !goes_on {
                self.at += 3;
                return Ok(all(self.count));
            }
        }
        let (number, after) = leading(rest).ok_or_else(|| self.expected("the name of a capability"))?;
        self.at = self.text.len() - after.len();
        Ok(1 << number)
    }

    fn flags(&mut self) -> Flags {
        let mut flags = Flags::NONE;
        while let Some(letter) = self.peek().and_then(Flags::letter) {
            flags.0 |= letter.0;
            self.at += 1;
        }
        flags
    }
}

/// Writes `sets` for a kernel of `count` capabilities, in the one form that
/// the originals write.
///
/// The commonest flags of the first `count` (the smallest value on a tie) are
/// said once, as `=FLAGS`; then come the others, group by group, as what is
/// raised and lowered against them. Bits from `count` on come last.
///
/// ```
/// use rs_capsh::text::CapSets;
/// let sets = CapSets { effective: 1, permitted: 1, inheritable: 1 << 5 };
/// assert_eq!(rs_capsh::text::write(&sets, 41), "cap_kill=i cap_chown+ep");
/// ```
pub fn write(sets: &CapSets, count: u32) -> String {
    let count = count.min(64);
    let mut groups = [0u64; 8];
    for number in 0..count {
        groups[usize::from(Flags::of(sets, number).0)] |= 1 << number;
    }
    let common = commonest(&groups);
    let mut parts = Vec::new();
    for value in (0..8).rev().filter(|value| *value != common.0) {
        let group = groups[usize::from(value)];
        if group != 0 {
            parts.push(part(&list(group), Flags(value), common));
        }
    }
    if common == Flags::NONE && !parts.is_empty() {
        parts[0] = parts[0].replacen('+', "=", 1);
    } else {
        parts.insert(0, format!("={}", common.letters()));
    }
    let beyond = !all(count);
    for value in (1..8).rev() {
        let group = members(beyond).filter(|number| Flags::of(sets, *number).0 == value);
        let group = group.fold(0, |set, number| set | 1 << number);
        if group != 0 {
            parts.push(format!("{}+{}", list(group), Flags(value).letters()));
        }
    }
    parts.join(" ")
}

fn commonest(groups: &[u64; 8]) -> Flags {
    let mut best = 0u8;
    for value in 1..8u8 {
        if groups[usize::from(value)].count_ones() > groups[usize::from(best)].count_ones() {
            best = value;
        }
    }
    Flags(best)
}

/// ` NAMES+raised-lowered` against the common flags.
fn part(names: &str, flags: Flags, common: Flags) -> String {
    let mut text = names.to_owned();
    for (sign, letters) in [('+', flags.without(common).letters()), ('-', common.without(flags).letters())] {
        if !letters.is_empty() {
            text.push(sign);
            text.push_str(&letters);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNT: u32 = 41;

    fn rewritten(text: &str) -> String {
        write(&parse(text.as_bytes(), COUNT).unwrap_or_else(|mistake| panic!("{text}: {mistake}")), COUNT)
    }

    #[test]
    fn the_writing() {
        for (text, written) in [
            ("", "="),
            (" \t\n ", "="),
            ("=", "="),
            ("all=", "="),
            ("=ep", "=ep"),
            ("ALL=pe", "=ep"),
            ("cap_chown=ep cap_kill=i", "cap_kill=i cap_chown+ep"),
            (
                "cap_chown+p cap_kill+ep cap_setgid+i cap_fowner+ip cap_setuid=eip",
                "cap_setuid=eip cap_fowner+ip cap_setgid+i cap_kill+ep cap_chown+p",
            ),
            ("=ip cap_chown+e cap_kill+e-i cap_sys_resource-ip", "=ip cap_chown+e cap_kill+e-i cap_sys_resource-ip"),
            ("cap_chown=+p", "cap_chown=p"),
            ("=ep cap_chown=-p", "=ep cap_chown-ep"),
            ("cap_chown=p-p+e", "cap_chown=e"),
            ("cap_chown,CAP_KILL,7=p", "cap_chown,cap_kill,cap_setuid=p"),
            ("63=p", "= 63+p"),
            ("=ep 41=i 63=p", "=ep 41+i 63+p"),
        ] {
            assert_eq!(rewritten(text), written, "{text}");
        }
    }

    #[test]
    fn a_tie_goes_to_the_smaller_value() {
        let low = all(20);
        let high = all(40) & !low;
        let sets = CapSets { effective: low, permitted: low | high, inheritable: 0 };
        assert!(write(&sets, COUNT).starts_with("=p cap_chown,"), "{}", write(&sets, COUNT));
        assert!(write(&sets, COUNT).ends_with("+e cap_checkpoint_restore-p"), "{}", write(&sets, COUNT));
    }

    #[test]
    fn refused() {
        for text in [
            "+p",
            "-p",
            "=+p",
            "=-p",
            "=p+e",
            "cap_kill",
            "cap_kill+",
            "cap_kill=+",
            "cap_kill=p+",
            "cap_kill=P",
            "cap_kill =p",
            "cap_kill, cap_chown=p",
            "cap_kill,=p",
            ",cap_kill=p",
            "kill=p",
            "none=p",
            "64=p",
            "08=p",
            "cap_kill=p,cap_chown=p",
            "cap_kill=p=e",
            "allx=p",
            "all1=p",
            "all_=p",
            "cap_kill==p",
            "cap_kill=\u{e9}",
            "cap_kill=-",
            "x",
            "\0",
        ] {
            assert!(parse(text.as_bytes(), COUNT).is_err(), "{text:?}");
        }
    }
}
