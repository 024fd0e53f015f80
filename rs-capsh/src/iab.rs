//! IAB text: what exec hands on, as inheritable, ambient and blocked
//! capabilities (cap_iab(3)). Pure: sets in, text out.
//!
//! ```text
//! text  = [ entry { ',' entry } [ ',' ] ]
//! entry = { '!' | '^' | '%' } name-or-number
//! ```
//!
//! | prefix | the capability is |
//! | --- | --- |
//! | none or `%` | inheritable |
//! | `^` | ambient, and so inheritable |
//! | `!` | blocked: not in the bounding set; alone it says no more |
//! | `!%`, `!^` | both |
//!
//! Prefixes come in any order and number; what is said of one capability in
//! several places adds up. The last entry may lack its name. There are no
//! blanks and no `all`.

use crate::names;
use crate::text::Mistake;
use chain::capability::name_of;

/// What exec hands on; bit N is capability N.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Iab {
    /// Kept for programs whose file asks for them.
    pub inheritable: u64,
    /// Kept for ordinary programs.
    pub ambient: u64,
    /// Out of the bounding set.
    pub blocked: u64,
}

/// Reads `text`.
///
/// ```
/// let iab = rs_capsh::iab::parse(b"cap_kill,!^cap_chown").unwrap();
/// assert_eq!((iab.inheritable, iab.ambient, iab.blocked), (1 << 5 | 1, 1, 1));
/// ```
///
/// # Errors
/// Where the text leaves the grammar.
pub fn parse(text: &[u8]) -> Result<Iab, Mistake> {
    let mut iab = Iab::default();
    let mut rest = text;
    while !rest.is_empty() {
        let expected = |at: &[u8], expected| Mistake { at: text.len() - at.len(), expected };
        let length = rest.iter().take_while(|b| matches!(b, b'!' | b'^' | b'%')).count();
        let (prefixes, name) = rest.split_at(length);
        if name.is_empty() {
            break;
        }
        let (number, after) = names::leading(name).ok_or_else(|| expected(name, "the name of a capability"))?;
        let bit = 1 << number;
        let (blocked, ambient) = (prefixes.contains(&b'!'), prefixes.contains(&b'^'));
        if blocked {
            iab.blocked |= bit;
        }
        if ambient {
            iab.ambient |= bit;
        }
        if ambient || !blocked || prefixes.contains(&b'%') {
            iab.inheritable |= bit;
        }
        rest = match after {
            [] => after,
            [b',', next @ ..] => next,
            _ => return Err(expected(after, "a comma")),
        };
    }
    Ok(iab)
}

/// Writes `iab` for a kernel of `count` capabilities, by number.
///
/// ```
/// use rs_capsh::iab::{Iab, write};
/// let iab = Iab { inheritable: 0b111, ambient: 0b010, blocked: 0b1100 };
/// assert_eq!(write(&iab, 41), "cap_chown,^cap_dac_override,!%cap_dac_read_search,!cap_fowner");
/// ```
pub fn write(iab: &Iab, count: u32) -> String {
    let said = iab.inheritable | iab.ambient | iab.blocked;
    let entry = |number: u32| {
        let has = |set: u64| set >> number & 1 == 1;
        let blocked = if has(iab.blocked) { "!" } else { "" };
        let kept = match () {
            () if has(iab.ambient) => "^",
            () if has(iab.blocked) && has(iab.inheritable) => "%",
            () => "",
        };
        format!("{blocked}{kept}{}", name_of(number))
    };
    names::members(said & names::all(count)).map(entry).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(text: &str) -> String {
        write(&parse(text.as_bytes()).unwrap_or_else(|mistake| panic!("{text}: {mistake}")), 41)
    }

    #[test]
    fn the_writing() {
        for (text, written) in [
            ("", ""),
            ("!", ""),
            ("cap_chown,!", "cap_chown"),
            ("cap_chown,", "cap_chown"),
            ("%cap_chown", "cap_chown"),
            ("cap_chown,!cap_chown", "!%cap_chown"),
            ("!!^^%cap_chown", "!^cap_chown"),
            ("^!5,CAP_CHOWN", "cap_chown,!^cap_kill"),
            ("!40", "!cap_checkpoint_restore"),
        ] {
            assert_eq!(rewritten(text), written, "{text}");
        }
    }

    #[test]
    fn refused() {
        for text in [
            ",",
            ",cap_chown",
            "cap_chown,,cap_kill",
            "cap_chown, cap_kill",
            " cap_chown",
            "all",
            "chown",
            "64",
            "cap_chown=p",
            "cap_chown!",
            "!,cap_chown",
            "cap_chown ",
            "\u{e9}",
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text:?}");
        }
    }
}
