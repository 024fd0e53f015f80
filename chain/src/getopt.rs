//! GNU getopt_long's reading of a command line (getopt(3)), driven by a tool's
//! options: the rows of a table, or those of a clap command.
//!
//! clap alone reads differently where scripts notice: it strips the `=` of
//! `-w=d`, refuses abbreviations that the original takes, stops at other
//! places. So the words are read here, left to right; a clap command gets them
//! in one plain form: `--option=value` words, `--`, operands.

use clap::{Arg, ArgAction, Command};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Where operands may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operands {
    /// The first operand ends the options: it is a program.
    EndOptions,
    /// Options may follow operands.
    Anywhere,
}

/// What an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    Nothing,
    /// The rest of the word, or the next one.
    Value,
    /// Two words; the first one may follow `=`.
    Two,
    /// Only the long form, only after `=`.
    Optional,
}

/// An option.
pub(crate) trait Known {
    fn has_letter(&self, letter: char) -> bool;
    fn names(&self) -> impl Iterator<Item = &str>;
    fn takes(&self) -> Takes;
    /// The original does not have it.
    fn is_ours(&self) -> bool;
}

/// An option on the line.
pub(crate) struct Seen<'a, K> {
    pub(crate) option: &'a K,
    /// Its long name, in full.
    name: Option<&'a str>,
    /// One, but for options that take two, or may go without.
    pub(crate) values: Vec<OsString>,
}

/// The line, up to the first mistake.
pub(crate) struct Line<'a, K> {
    pub(crate) seen: Vec<Seen<'a, K>>,
    pub(crate) operands: Vec<OsString>,
    /// getopt's message about the word after those.
    pub(crate) mistake: Option<String>,
}

/// Finds `name` among the long options: the exact name, else the only option
/// it begins. Options that the original does not have never make one of its
/// abbreviations ambiguous. `word` is what stands on the line, for messages.
fn long<'a, K: Known>(options: &'a [K], name: &str, word: &str) -> Result<(&'a K, &'a str), String> {
    let all = || options.iter().flat_map(|option| option.names().map(move |long| (option, long)));
    if let Some(exact) = all().find(|(_, long)| *long == name) {
        return Ok(exact);
    }
    let beginning =
        |ours: bool| all().filter(|(o, long)| o.is_ours() == ours && long.starts_with(name)).collect::<Vec<_>>();
    let mut found = beginning(false);
    if found.is_empty() {
        found = beginning(true);
    }
    match found.as_slice() {
        [] => Err(format!("unrecognized option '--{word}'")),
        [one, rest @ ..] if rest.iter().all(|other| std::ptr::eq(other.0, one.0)) => Ok(*one),
        several => {
            let names: Vec<String> = several.iter().map(|(_, long)| format!("'--{long}'")).collect();
            Err(format!("option '--{word}' is ambiguous; possibilities: {}", names.join(" ")))
        }
    }
}

/// Reads `words` by `options`.
pub(crate) fn read<K: Known>(options: &[K], operands: Operands, words: Vec<OsString>) -> Line<'_, K> {
    let mut line = Line { seen: Vec::new(), operands: Vec::new(), mistake: None };
    // What getopt(3) asks the environment: options end at the first operand.
    let posixly_correct = std::env::var_os("POSIXLY_CORRECT").is_some();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let bytes = word.as_bytes();
        if bytes == b"--" {
            break;
        }
        let read = if let Some(name) = bytes.strip_prefix(b"--") {
            read_long(options, name, &mut words, &mut line.seen)
        } else if bytes.len() > 1 && bytes[0] == b'-' {
            read_cluster(options, &bytes[1..], &mut words, &mut line.seen)
        } else {
            line.operands.push(word);
            if operands == Operands::EndOptions || posixly_correct {
                break;
            }
            continue;
        };
        if let Err(message) = read {
            line.mistake = Some(message);
            return line;
        }
    }
    line.operands.extend(words);
    line
}

fn read_long<'a, K: Known>(
    options: &'a [K],
    word: &[u8],
    words: &mut impl Iterator<Item = OsString>,
    seen: &mut Vec<Seen<'a, K>>,
) -> Result<(), String> {
    let (name, value) = match word.iter().position(|b| *b == b'=') {
        Some(at) => (&word[..at], Some(OsStr::from_bytes(&word[at + 1..]).to_owned())),
        None => (word, None),
    };
    let (option, name) =
        long(options, &OsStr::from_bytes(name).to_string_lossy(), &OsStr::from_bytes(word).to_string_lossy())?;
    let values = match (option.takes(), value) {
        (Takes::Nothing, Some(_)) => return Err(format!("option '--{name}' doesn't allow an argument")),
        (Takes::Value, None) => {
            vec![words.next().ok_or_else(|| format!("option '--{name}' requires an argument"))?]
        }
        (Takes::Two, first) => {
            let few = || format!("option '--{name}' requires two arguments");
            let first = first.or_else(|| words.next()).ok_or_else(few)?;
            vec![first, words.next().ok_or_else(few)?]
        }
        (_, value) => value.into_iter().collect(),
    };
    seen.push(Seen { option, name: Some(name), values });
    Ok(())
}

fn read_cluster<'a, K: Known>(
    options: &'a [K],
    letters: &[u8],
    words: &mut impl Iterator<Item = OsString>,
    seen: &mut Vec<Seen<'a, K>>,
) -> Result<(), String> {
    for (i, letter) in letters.iter().enumerate() {
        let letter = char::from(*letter);
        let option = options
            .iter()
            .find(|option| option.has_letter(letter))
            .ok_or_else(|| format!("invalid option -- '{letter}'"))?;
        let name = option.names().next();
        if option.takes() != Takes::Value {
            seen.push(Seen { option, name, values: Vec::new() });
            continue;
        }
        let glued = &letters[i + 1..];
        let value = if glued.is_empty() {
            words.next().ok_or_else(|| format!("option requires an argument -- '{letter}'"))?
        } else {
            OsStr::from_bytes(glued).to_owned()
        };
        seen.push(Seen { option, name, values: vec![value] });
        return Ok(());
    }
    Ok(())
}

/// An option of a clap command.
struct Clap {
    short: Vec<char>,
    long: Vec<String>,
    takes: Takes,
    ours: bool,
}

impl Known for Clap {
    fn has_letter(&self, letter: char) -> bool {
        self.short.contains(&letter)
    }
    fn names(&self) -> impl Iterator<Item = &str> {
        self.long.iter().map(String::as_str)
    }
    fn takes(&self) -> Takes {
        self.takes
    }
    fn is_ours(&self) -> bool {
        self.ours
    }
}

fn known(command: &Command, additions: &[&str]) -> Vec<Clap> {
    let of = |arg: &Arg| {
        let takes = match arg.get_action() {
            ArgAction::Set | ArgAction::Append => match arg.get_num_args().map_or(1, |range| range.min_values()) {
                0 => Takes::Optional,
                2 => Takes::Two,
                _ => Takes::Value,
            },
            _ => Takes::Nothing,
        };
        let long: Vec<String> = arg
            .get_long()
            .into_iter()
            .map(str::to_owned)
            .chain(arg.get_all_aliases().into_iter().flatten().map(str::to_owned))
            .collect();
        let short = arg.get_short().into_iter().chain(arg.get_all_short_aliases().into_iter().flatten()).collect();
        let ours = long.iter().any(|name| additions.contains(&name.as_str()));
        Clap { short, long, takes, ours }
    };
    command.get_arguments().filter(|arg| !arg.is_positional()).map(of).collect()
}

/// The words in plain form, up to the first mistake.
pub(crate) struct Plain {
    pub(crate) words: Vec<OsString>,
    /// getopt's message about the word after those.
    pub(crate) mistake: Option<String>,
}

/// Reads `words` by the options of `command`; `additions` names the long
/// options that the original does not have.
pub(crate) fn plain(command: &Command, additions: &[&str], operands: Operands, words: Vec<OsString>) -> Plain {
    let options = known(command, additions);
    let line = read(&options, operands, words);
    let mut plain: Vec<OsString> = line.seen.into_iter().flat_map(plain_words).collect();
    if !line.operands.is_empty() {
        plain.push("--".into());
        plain.extend(line.operands);
    }
    Plain { words: plain, mistake: line.mistake }
}

/// One option as clap is to see it.
fn plain_words(seen: Seen<'_, Clap>) -> Vec<OsString> {
    let letter = || seen.option.short.first().map_or_else(String::new, |letter| format!("-{letter}"));
    let name = OsString::from(seen.name.map_or_else(letter, |name| format!("--{name}")));
    if seen.option.takes == Takes::Two {
        return std::iter::once(name).chain(seen.values).collect();
    }
    match seen.values.into_iter().next() {
        Some(value) => vec![OsString::from_vec([name.as_bytes(), b"=", value.as_bytes()].concat())],
        None => vec![name],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> Command {
        Command::new("t")
            .arg(Arg::new("mount").short('m').long("mount").num_args(0..=1).require_equals(true))
            .arg(Arg::new("monotonic").long("monotonic"))
            .arg(Arg::new("time").short('T').long("time").action(ArgAction::SetTrue))
            .arg(Arg::new("trace").long("trace").action(ArgAction::SetTrue))
            .arg(Arg::new("wd").short('w').long("wd"))
            .arg(Arg::new("g").short('g'))
            .arg(Arg::new("bind").long("bind").num_args(2))
            .arg(Arg::new("program").num_args(0..))
    }

    fn read(operands: Operands, words: &[&str]) -> (Vec<String>, Option<String>) {
        let words = words.iter().map(OsString::from).collect();
        let plain = plain(&command(), &["trace"], operands, words);
        (plain.words.into_iter().map(|w| w.into_string().expect("UTF-8")).collect(), plain.mistake)
    }

    fn program(words: &[&str]) -> (Vec<String>, Option<String>) {
        read(Operands::EndOptions, words)
    }

    #[test]
    fn clusters_values_and_the_first_operand() {
        assert_eq!(
            program(&["-mTw=d", "-w", "--fork", "x", "-m"]).0,
            ["--mount", "--time", "--wd==d", "--wd=--fork", "--", "x", "-m"]
        );
        assert_eq!(program(&["-gcpu:x"]).0, ["-g=cpu:x"]);
        assert_eq!(program(&["--", "-x", "--"]).0, ["--", "-x", "--"]);
        assert_eq!(read(Operands::Anywhere, &["x", "-m", "--", "-T"]).0, ["--mount", "--", "x", "-T"]);
    }

    #[test]
    fn two_values() {
        assert_eq!(program(&["--bind", "-m", "--", "x"]).0, ["--bind", "-m", "--", "--", "x"]);
        assert_eq!(program(&["--bind=a", "b", "x"]).0, ["--bind", "a", "b", "--", "x"]);
        assert_eq!(program(&["--bind", "a"]).1.as_deref(), Some("option '--bind' requires two arguments"));
    }

    #[test]
    fn abbreviations() {
        assert_eq!(program(&["--t"]).0, ["--time"]);
        assert_eq!(program(&["--tr"]).0, ["--trace"]);
        assert_eq!(program(&["--mount=f"]).0, ["--mount=f"]);
        let ambiguous = "option '--mo' is ambiguous; possibilities: '--mount' '--monotonic'";
        assert_eq!(program(&["--mo"]).1.as_deref(), Some(ambiguous));
    }

    #[test]
    fn mistakes_come_after_what_stood_before() {
        assert_eq!(
            program(&["-T", "--bogus", "-m"]),
            (vec!["--time".into()], Some("unrecognized option '--bogus'".into()))
        );
        assert_eq!(program(&["-Tx"]).1.as_deref(), Some("invalid option -- 'x'"));
        assert_eq!(program(&["-w"]).1.as_deref(), Some("option requires an argument -- 'w'"));
        assert_eq!(program(&["--wd"]).1.as_deref(), Some("option '--wd' requires an argument"));
        assert_eq!(program(&["--time=1"]).1.as_deref(), Some("option '--time' doesn't allow an argument"));
    }
}
