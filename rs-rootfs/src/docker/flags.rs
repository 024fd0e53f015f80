//! A command line as docker reads it: no abbreviations, clusters, `--f=V`,
//! `--f V`, `-fV`, `-f V`, `-f=V`; true and false as values of switches.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// What a flag takes; the form of its value is checked at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    /// Nothing; `=true` and `=false` are understood.
    Switch,
    /// Any text.
    Text,
    /// A whole number of so many bits.
    Int(u32),
    /// A whole number that is not negative, of so many bits.
    Uint(u32),
    /// A number of CPUs.
    Cpus,
    /// `90s`, `1h30m`.
    Duration,
    /// Bytes, with `k`, `m`, `g`.
    Bytes,
    /// The same, or -1.
    SwapBytes,
    /// `NAME[=VALUE]` with a name.
    Pair(&'static str),
    /// `HOST:IP` or `HOST=IP`.
    Host,
    /// An IP address.
    Ip,
    /// `CONTAINER[:ALIAS]`.
    Link,
    /// `stdin`, `stdout`, `stderr`.
    Stream,
}

/// One flag: its letter or `'\0'`, its long name, what it takes.
pub(crate) type Flag = (char, &'static str, Takes);

/// What stood on the command line.
#[derive(Debug, Default)]
pub(crate) struct Words {
    /// Flags in order; switches have `true` or `false`.
    pub(crate) flags: Vec<(&'static str, OsString)>,
    /// Operands.
    pub(crate) operands: Vec<OsString>,
}

impl Words {
    /// The last value of `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&OsStr> {
        self.flags.iter().rev().find(|(flag, _)| *flag == name).map(|(_, value)| value.as_os_str())
    }

    /// Whether the switch `name` is on.
    pub(crate) fn on(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value == "true")
    }
}

/// Reads `words`. With `anywhere`, flags may follow operands.
///
/// # Errors
/// The message about the first mistake.
pub(crate) fn read(flags: &'static [Flag], words: Vec<OsString>, anywhere: bool) -> Result<Words, String> {
    let mut found = Words::default();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let bytes = word.as_bytes();
        if bytes == b"--" {
            break;
        } else if let Some(long) = bytes.strip_prefix(b"--") {
            read_long(flags, long, &mut words, &mut found)?;
        } else if bytes.len() > 1 && bytes[0] == b'-' {
            read_short(flags, &bytes[1..], &mut words, &mut found)?;
        } else {
            found.operands.push(word);
            if !anywhere {
                break;
            }
        }
    }
    found.operands.extend(words);
    Ok(found)
}

fn text(bytes: &[u8]) -> String {
    OsStr::from_bytes(bytes).display().to_string()
}

fn read_long(
    flags: &'static [Flag],
    word: &[u8],
    words: &mut impl Iterator<Item = OsString>,
    found: &mut Words,
) -> Result<(), String> {
    let (name, value) = match word.iter().position(|b| *b == b'=') {
        Some(at) => (&word[..at], Some(OsString::from_vec(word[at + 1..].to_vec()))),
        None => (word, None),
    };
    if name.is_empty() || name[0] == b'-' {
        return Err(format!("bad flag syntax: --{}", text(word)));
    }
    let Some(flag) = flags.iter().find(|(_, long, _)| long.as_bytes() == name) else {
        return Err(format!("unknown flag: --{}", text(name)));
    };
    let value = match (value, flag.2) {
        (Some(value), _) => value,
        (None, Takes::Switch) => "true".into(),
        (None, _) => words.next().ok_or_else(|| format!("flag needs an argument: --{}", flag.1))?,
    };
    add(flag, value, found)
}

fn read_short(
    flags: &'static [Flag],
    letters: &[u8],
    words: &mut impl Iterator<Item = OsString>,
    found: &mut Words,
) -> Result<(), String> {
    for (i, letter) in letters.iter().enumerate() {
        let letter = char::from(*letter);
        let Some(flag) = flags.iter().find(|(short, _, _)| *short == letter) else {
            return Err(format!("unknown shorthand flag: {letter:?} in -{}", text(&letters[i..])));
        };
        let rest = &letters[i + 1..];
        if let Some(value) = rest.strip_prefix(b"=") {
            return add(flag, OsString::from_vec(value.to_vec()), found);
        }
        if flag.2 == Takes::Switch {
            add(flag, "true".into(), found)?;
            continue;
        }
        let value = if rest.is_empty() {
            words.next().ok_or_else(|| format!("flag needs an argument: {letter:?} in -{}", text(&letters[i..])))?
        } else {
            OsString::from_vec(rest.to_vec())
        };
        return add(flag, value, found);
    }
    Ok(())
}

fn add(flag: &'static Flag, value: OsString, found: &mut Words) -> Result<(), String> {
    let &(short, long, takes) = flag;
    let shown = || {
        let letter = if short == '\0' { String::new() } else { format!("-{short}, ") };
        format!("invalid argument \"{}\" for \"{letter}--{long}\" flag", value.display())
    };
    let word = value.to_string_lossy();
    let value = if takes == Takes::Switch {
        let truth = match &*word {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => "true",
            "0" | "f" | "F" | "false" | "FALSE" | "False" => "false",
            _ => return Err(format!("{}: strconv.ParseBool: parsing \"{word}\": invalid syntax", shown())),
        };
        truth.into()
    } else {
        check(takes, &word).map_err(|why| format!("{}: {why}", shown()))?;
        value
    };
    found.flags.push((long, value));
    Ok(())
}

/// Whether `word` has the form of such a value.
fn check(takes: Takes, word: &str) -> Result<(), String> {
    let when = |good: bool, why: String| if good { Ok(()) } else { Err(why) };
    match takes {
        Takes::Switch | Takes::Text => Ok(()),
        Takes::Int(bits) => number(word, bits, true),
        Takes::Uint(bits) => number(word, bits, false),
        Takes::Cpus => when(word.parse::<f64>().is_ok_and(f64::is_finite), format!("Can't set '{word}' to decimal")),
        Takes::Duration => when(is_duration(word), format!("time: invalid duration {word:?}")),
        Takes::Bytes => when(is_size(word), format!("invalid size: '{word}'")),
        Takes::SwapBytes => when(word == "-1" || is_size(word), format!("invalid size: '{word}'")),
        Takes::Pair(what) => when(!word.is_empty() && !word.starts_with('='), format!("invalid {what}: {word}")),
        Takes::Host => {
            let parts = word.split_once('=').or_else(|| word.split_once(':'));
            let good = parts.is_some_and(|(host, ip)| !host.is_empty() && is_ip(ip));
            when(good, format!("bad format for add-host: {word:?}"))
        }
        Takes::Ip => {
            let good = word.trim().parse::<std::net::IpAddr>().is_ok();
            when(good, format!("IP address is not correctly formatted: {word}"))
        }
        Takes::Link if word.is_empty() => Err("empty string specified for links".to_owned()),
        Takes::Link => when(word.split(':').count() < 3, format!("bad format for links: {word}")),
        Takes::Stream => when(
            matches!(word.to_ascii_lowercase().as_str(), "stdin" | "stdout" | "stderr"),
            "valid streams are STDIN, STDOUT and STDERR".to_owned(),
        ),
    }
}

fn is_ip(text: &str) -> bool {
    text == "host-gateway" || text.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok()
}

/// A number as Go reads it with base 0: `0x`, `0o`, `0b`, a leading 0.
fn number(word: &str, bits: u32, signed: bool) -> Result<(), String> {
    let function = if signed { "ParseInt" } else { "ParseUint" };
    let fail = |why: &str| Err(format!("strconv.{function}: parsing {word:?}: {why}"));
    let bare = if signed { word.strip_prefix(['-', '+']).unwrap_or(word) } else { word };
    let lower = bare.to_ascii_lowercase();
    let (digits, radix) = match lower.as_bytes() {
        [b'0', b'x', ..] => (&lower[2..], 16),
        [b'0', b'b', ..] => (&lower[2..], 2),
        [b'0', b'o', ..] => (&lower[2..], 8),
        [b'0', _, ..] => (&lower[1..], 8),
        _ => (lower.as_str(), 10),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return fail("invalid syntax");
    }
    let limit = match (signed, word.starts_with('-')) {
        (true, true) => 1u128 << (bits - 1),
        (true, false) => (1u128 << (bits - 1)) - 1,
        (false, _) => (1u128 << bits) - 1,
    };
    match u128::from_str_radix(digits, radix) {
        Ok(value) if value <= limit => Ok(()),
        _ => fail("value out of range"),
    }
}

/// `1h2m3.5s`, `-5ms`, `0`.
fn is_duration(word: &str) -> bool {
    let mut rest = word.strip_prefix(['-', '+']).unwrap_or(word);
    if rest == "0" {
        return true;
    }
    let mut any = false;
    while !rest.is_empty() {
        let digits = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let number = &rest[..rest.len() - digits.len()];
        if number.is_empty() || number == "." || number.matches('.').count() > 1 {
            return false;
        }
        let units = ["ns", "us", "\u{b5}s", "\u{3bc}s", "ms", "s", "m", "h"];
        let Some(unit) = units.iter().filter(|unit| digits.starts_with(**unit)).max_by_key(|unit| unit.len()) else {
            return false;
        };
        rest = &digits[unit.len()..];
        any = true;
    }
    any
}

/// A number, a space or none, a unit: `10`, `1.5g`, `2 KiB`.
fn is_size(word: &str) -> bool {
    let unit = word.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let number = &word[..word.len() - unit.len()];
    let unit = unit.strip_prefix(' ').unwrap_or(unit).to_ascii_lowercase();
    let bare = unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).unwrap_or(&unit);
    number.parse::<f64>().is_ok()
        && matches!(bare, "" | "k" | "m" | "g" | "t" | "p")
        && !(bare.is_empty() && unit == "ib")
}

#[cfg(test)]
mod tests {
    use super::*;

    static FLAGS: [Flag; 5] = [
        ('i', "interactive", Takes::Switch),
        ('t', "tty", Takes::Switch),
        ('o', "output", Takes::Text),
        ('m', "memory", Takes::Bytes),
        ('\0', "pids-limit", Takes::Int(64)),
    ];

    fn said(words: &[&str], anywhere: bool) -> String {
        match read(&FLAGS, words.iter().map(OsString::from).collect(), anywhere) {
            Ok(found) => format!("{:?} {:?}", found.flags, found.operands).replace('"', ""),
            Err(why) => why,
        }
    }

    #[test]
    fn forms() {
        assert_eq!(said(&["-ito", "F", "x", "-i"], false), "[(interactive, true), (tty, true), (output, F)] [x, -i]");
        assert_eq!(
            said(&["x", "-oF", "-o=G", "--output=", "--", "-i"], true),
            "[(output, F), (output, G), (output, )] [x, -i]"
        );
        assert_eq!(said(&["--", "x", "--", "y"], false), "[] [x, --, y]");
        assert_eq!(said(&["--tty=f", "-i=0"], false), "[(tty, false), (interactive, false)] []");
    }

    #[test]
    fn mistakes() {
        assert_eq!(said(&["--out=x"], true), "unknown flag: --out");
        assert_eq!(said(&["-ix"], true), "unknown shorthand flag: 'x' in -x");
        assert_eq!(said(&["-io"], true), "flag needs an argument: 'o' in -o");
        assert_eq!(said(&["--output"], true), "flag needs an argument: --output");
        assert_eq!(
            said(&["--tty=x"], true),
            "invalid argument \"x\" for \"-t, --tty\" flag: strconv.ParseBool: parsing \"x\": invalid syntax"
        );
        assert_eq!(said(&["-m", "x"], true), "invalid argument \"x\" for \"-m, --memory\" flag: invalid size: 'x'");
    }

    #[test]
    fn values() {
        for good in ["5", "-5", "0x1f", "010", "-9223372036854775808"] {
            assert!(number(good, 64, true).is_ok(), "{good}");
        }
        assert!(number("9223372036854775808", 64, true).is_err() && number("-1", 16, false).is_err());
        assert!(is_duration("1h2m3.5s") && is_duration("0") && !is_duration("5") && !is_duration(""));
        assert!(is_size("10") && is_size("1.5g") && is_size("2 KiB") && !is_size("x") && !is_size("1q"));
    }
}
