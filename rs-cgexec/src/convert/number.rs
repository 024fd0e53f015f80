//! Numbers as the kernel reads and writes them.

/// v1's "no limit" on pages of 4 KiB: the largest number of pages, in bytes.
pub(super) const UNLIMITED: u64 = 9_223_372_036_854_771_712;

/// The same in huge pages, of which the largest are of 16 GiB: v1 rounds "no
/// limit" down to whole ones.
pub(super) const HUGE_UNLIMITED: u64 = UNLIMITED - (16 << 30);

/// Bytes as the kernel's memparse reads them: decimal, `0x` or octal, then
/// one of K M G T P E. `None` for anything else.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let (digits, shift) = match text.as_bytes().last()?.to_ascii_uppercase() {
        b'K' => (&text[..text.len() - 1], 10),
        b'M' => (&text[..text.len() - 1], 20),
        b'G' => (&text[..text.len() - 1], 30),
        b'T' => (&text[..text.len() - 1], 40),
        b'P' => (&text[..text.len() - 1], 50),
        b'E' if !text.starts_with("0x") => (&text[..text.len() - 1], 60),
        _ => (text, 0),
    };
    let number = if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        u64::from_str_radix(hex, 16).ok()?
    } else if digits.len() > 1 && digits.starts_with('0') {
        u64::from_str_radix(digits, 8).ok()?
    } else {
        digits.parse().ok()?
    };
    number.checked_mul(1 << shift)
}

/// An integer as the kernel's kstrtoull and kstrtoll read it: decimal, `0x` or
/// octal, after at most one sign; blanks around it do not count.
pub(super) fn integer(text: &str) -> Option<i128> {
    let text = text.trim();
    let (minus, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if !digits.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let (digits, radix) = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) => (hex, 16),
        None if digits.len() > 1 && digits.starts_with('0') => (digits, 8),
        None => (digits, 10),
    };
    let number = u64::from_str_radix(digits, radix).ok().filter(|_| !digits.starts_with('+'))?;
    Some(if minus { -i128::from(number) } else { number.into() })
}

/// [`integer`], and none below zero.
pub(super) fn natural(text: &str) -> Option<u64> {
    integer(text).and_then(|number| u64::try_from(number).ok())
}

/// A limit in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// So many.
    Bytes(u64),
    /// As many as there are.
    Unlimited,
}

impl Limit {
    pub(super) fn bytes(self) -> Option<u64> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Unlimited => None,
        }
    }
}

/// A limit as v1 writes it.
pub(super) fn v1_limit(text: &str) -> Option<Limit> {
    if text.trim() == "-1" {
        return Some(Limit::Unlimited);
    }
    let number = match bytes(text) {
        Some(number) => number,
        // A number all right, but beyond what counts.
        None if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => u64::MAX,
        None => return None,
    };
    Some(if number < UNLIMITED { Limit::Bytes(number) } else { Limit::Unlimited })
}

/// A limit as v2 writes it.
pub(super) fn v2_limit(text: &str) -> Option<Limit> {
    if text.trim() == "max" { Some(Limit::Unlimited) } else { bytes(text).map(Limit::Bytes) }
}

/// The value of `key` in a file of `KEY VALUE` lines.
pub(super) fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// `x` of `0 … from` on the scale `0 … to`, without overflow, kept in bounds.
pub(super) fn scaled(x: u64, to: u64, from: u64, least: u64, most: u64) -> u64 {
    let scaled = u128::from(x) * u128::from(to) / u128::from(from);
    u64::try_from(scaled).unwrap_or(u64::MAX).clamp(least, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(bytes("10M"), Some(10 << 20));
        assert_eq!(bytes("1g"), Some(1 << 30));
        assert_eq!(bytes("0x10"), Some(16));
        assert_eq!(bytes("010"), Some(8));
        assert_eq!(bytes("abc"), None);
        assert_eq!(bytes(""), None);
        assert_eq!(natural(" 0x400\n"), Some(1024));
        assert_eq!(natural("02000"), Some(1024));
        assert_eq!(natural("+7"), Some(7));
        assert_eq!(integer("-1"), Some(-1));
        for wrong in ["", "-", "+", "0x", "0x+1", "++1", "1k", "-1", "18446744073709551616"] {
            assert_eq!(natural(wrong), None, "{wrong}");
        }
        assert_eq!(v1_limit("-1"), Some(Limit::Unlimited));
        assert_eq!(v1_limit("9223372036854771712"), Some(Limit::Unlimited));
        assert_eq!(v1_limit("99999999999999999999999"), Some(Limit::Unlimited));
        assert_eq!(v1_limit("4096"), Some(Limit::Bytes(4096)));
        assert_eq!(v2_limit("max"), Some(Limit::Unlimited));
        assert_eq!(keyed("low 1\nmax 7\n", "max"), Some(7));
        assert_eq!(scaled(u64::MAX, 1024, 100, 2, 262_144), 262_144);
    }
}
