//! Numbers as the words of capsh write them: C's strtoul(3) in base 0, with
//! the whole word used up and nothing beyond 32 bits.

/// `word` as a number: `0x` hexadecimal, a leading `0` octal, else decimal;
/// white space and one `+` may stand before it. `None` for everything else,
/// also for what does not fit 32 bits.
///
/// ```
/// use rs_capsh::number::whole;
/// assert_eq!(whole(b" +0x1f"), Some(31));
/// assert_eq!(whole(b"010"), Some(8));
/// assert_eq!(whole(b"08"), None);
/// assert_eq!(whole(b"4294967296"), None);
/// ```
pub fn whole(word: &[u8]) -> Option<u32> {
    let word = after_blanks(word);
    let (number, rest) = leading(word.strip_prefix(b"+").unwrap_or(word))?;
    if rest.is_empty() { u32::try_from(number).ok() } else { None }
}

/// The number that `bytes` start with, and what follows it; `None` where they
/// do not start with a digit. What does not fit is the largest number.
pub fn leading(bytes: &[u8]) -> Option<(u64, &[u8])> {
    if !bytes.first()?.is_ascii_digit() {
        return None;
    }
    match bytes {
        [b'0', b'x' | b'X', digit, ..] if digit.is_ascii_hexdigit() => Some(digits(&bytes[2..], 16)),
        [b'0', ..] => Some(digits(bytes, 8)),
        _ => Some(digits(bytes, 10)),
    }
}

/// `word` as strtoull(3) reads it in base 16, for `--decode`: nothing is an
/// error; no digits are 0, too many are all ones, `-1` is all ones.
///
/// ```
/// use rs_capsh::number::hexadecimal;
/// assert_eq!(hexadecimal(b"0x2g"), 2);
/// assert_eq!(hexadecimal(b"-1"), u64::MAX);
/// ```
pub fn hexadecimal(word: &[u8]) -> u64 {
    let word = after_blanks(word);
    let (negative, word) = match word {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, word),
    };
    let word = match word {
        [b'0', b'x' | b'X', digit, ..] if digit.is_ascii_hexdigit() => &word[2..],
        _ => word,
    };
    let fits = word.iter().skip_while(|b| **b == b'0').take_while(|b| b.is_ascii_hexdigit()).count() <= 16;
    let (number, _) = digits(word, 16);
    if negative && fits { number.wrapping_neg() } else { number }
}

/// What follows C's white space.
pub(crate) fn after_blanks(word: &[u8]) -> &[u8] {
    let start = word.iter().position(|b| !is_blank(*b)).unwrap_or(word.len());
    &word[start..]
}

/// Whether C's isspace(3) holds.
pub(crate) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

fn digits(bytes: &[u8], base: u32) -> (u64, &[u8]) {
    let mut number = 0u64;
    for (at, byte) in bytes.iter().enumerate() {
        let Some(digit) = char::from(*byte).to_digit(base) else { return (number, &bytes[at..]) };
        number =
            number.checked_mul(base.into()).and_then(|number| number.checked_add(digit.into())).unwrap_or(u64::MAX);
    }
    (number, &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused() {
        for word in
            ["", " ", "+", "-1", " -1", "++1", "0x", "0xg", "08", "5x", "5 ", "4294967296", "99999999999999999999"]
        {
            assert_eq!(whole(word.as_bytes()), None, "{word:?}");
        }
    }

    #[test]
    fn taken() {
        for (word, number) in [("0", 0), ("00", 0), ("017", 15), ("0XfF", 255), ("\t\n 7", 7), ("4294967295", u32::MAX)]
        {
            assert_eq!(whole(word.as_bytes()), Some(number), "{word:?}");
        }
    }

    #[test]
    fn hexadecimal_never_fails() {
        for (word, number) in [
            ("", 0),
            ("x", 0),
            ("0x", 0),
            ("0xg", 0),
            (" 10", 16),
            ("-2", u64::MAX - 1),
            ("+A", 10),
            ("ffffffffffffffff", u64::MAX),
            ("10000000000000000", u64::MAX),
            ("-10000000000000000", u64::MAX),
            ("00000000000000000001", 1),
            ("-00000000000000000001", u64::MAX),
            ("1ffffffffffffffffffz", u64::MAX),
        ] {
            assert_eq!(hexadecimal(word.as_bytes()), number, "{word:?}");
        }
    }
}
