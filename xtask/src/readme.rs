//! The README: its commands do what it shows, its translation is in step.

use crate::{target, top};
use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Runs the `console` blocks of README.md and of the examples, each in a
/// shell of its own, and lists what came out otherwise.
///
/// `$ COMMAND` is run as whoever calls this, `# COMMAND` by root alone; the
/// lines that follow are its output, where `...` stands for any lines.
pub(crate) fn run_blocks() -> Result<Vec<String>> {
    let root = Command::new("id").arg("-u").output()?.stdout == b"0\n";
    let mut mistakes = Vec::new();
    let mut left_out = 0;
    for file in documents()? {
        let text = std::fs::read_to_string(&file)?;
        for block in blocks(&text).into_iter().filter(|block| block.language == "console") {
            if !root && block.lines.iter().any(|line| line.starts_with("# ")) {
                left_out += 1;
            } else if let Err(error) = run_block(&block) {
                mistakes.push(format!("{}: {error:#}", file.strip_prefix(top()).unwrap_or(&file).display()));
            }
        }
    }
    if left_out > 0 {
        println!("  skipped: {left_out} blocks that need root");
    }
    Ok(mistakes)
}

fn documents() -> Result<Vec<std::path::PathBuf>> {
    let mut files = vec![top().join("README.md"), top().join("CONTRIBUTING.md")];
    for entry in std::fs::read_dir(top().join("examples"))? {
        files.push(entry?.path().join("README.md"));
    }
    files.push(top().join("examples/README.md"));
    files.retain(|file| file.is_file());
    files.sort();
    Ok(files)
}

/// A fenced block of a document.
struct Block<'a> {
    language: &'a str,
    /// The first line's number, from 1.
    line: usize,
    lines: Vec<&'a str>,
}

fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut open: Option<Block<'_>> = None;
    for (number, line) in text.lines().enumerate() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(_), Some(block)) => blocks.push(block),
            (Some(language), None) => open = Some(Block { language: language.trim(), line: number + 2, lines: vec![] }),
            (None, Some(mut block)) => {
                block.lines.push(line);
                open = Some(block);
            }
            (None, None) => {}
        }
    }
    blocks
}

/// A shell that is asked one command after the other.
struct Shell {
    child: Child,
    answers: BufReader<std::process::ChildStdout>,
}

/// What the shell prints after each command.
const MARK: &str = "@ the next command @";

impl Shell {
    fn start(folder: &Path) -> Result<Self> {
        let path = format!("{}:{}", target().join("debug").display(), std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new("timeout");
        command.args(["120", "sh"]).current_dir(top()).env("PATH", path).env("TMPDIR", folder);
        command.env_remove("RS_TRACE").env("LC_ALL", "C");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let answers = BufReader::new(child.stdout.take().context("a pipe")?);
        Ok(Self { child, answers })
    }

    /// The output of `command`, by line.
    fn ask(&mut self, command: &str) -> Result<Vec<String>> {
        let stdin = self.child.stdin.as_mut().context("a pipe")?;
        writeln!(stdin, "{{ {command}\n}} </dev/null 2>&1\nprintf '%s\\n' '{MARK}'")?;
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if self.answers.read_line(&mut line)? == 0 {
                bail!("the shell ended at `{command}`");
            }
            if let Some(rest) = line.trim_end_matches('\n').strip_suffix(MARK) {
                lines.extend((!rest.is_empty()).then(|| rest.to_owned()));
                return Ok(lines);
            }
            lines.push(line.trim_end_matches('\n').to_owned());
        }
    }
}

fn run_block(block: &Block<'_>) -> Result<()> {
    let folder = std::env::temp_dir().join(format!("rs-readme.{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let result = Shell::start(&folder).and_then(|mut shell| {
        let result = follow(block, &mut shell);
        drop(shell.child.stdin.take());
        shell.child.wait()?;
        result
    });
    std::fs::remove_dir_all(&folder)?;
    result
}

/// Asks each command and consumes its output from the block: how many lines
/// are output is known then, also where one looks like a prompt.
fn follow(block: &Block<'_>, shell: &mut Shell) -> Result<()> {
    let mut at = 0;
    while at < block.lines.len() {
        let line = block.lines[at];
        let Some(command) = line.strip_prefix("# ").or_else(|| line.strip_prefix("$ ")) else {
            bail!("line {}: not a command, nor the output of one: {line}", block.line + at);
        };
        at += 1;
        let printed = shell.ask(command)?;
        let shown = &block.lines[at..];
        let used = matched(shown, &printed)
            .with_context(|| format!("line {}: `{command}` printed\n{}", block.line + at - 1, printed.join("\n")))?;
        at += used;
    }
    Ok(())
}

/// How many lines of `shown` are `printed`; `...` in `shown` stands for any.
fn matched(shown: &[&str], printed: &[String]) -> Result<usize> {
    let Some(any) = shown.iter().take(printed.len() + 1).position(|line| *line == "...") else {
        if shown.len() >= printed.len() && shown.iter().zip(printed).all(|(shown, printed)| shown == printed) {
            return Ok(printed.len());
        }
        bail!("not what is shown");
    };
    if printed.len() < any || shown[..any].iter().zip(printed).any(|(shown, printed)| shown != printed) {
        bail!("not what is shown");
    }
    let is_prompt = |line: &&&str| line.starts_with("# ") || line.starts_with("$ ");
    let after = shown[any + 1..].iter().position(|line| is_prompt(&line)).unwrap_or(shown.len() - any - 1);
    let tail = &shown[any + 1..any + 1 + after];
    let end = printed.len().checked_sub(tail.len()).filter(|start| *start >= any);
    match end {
        Some(start) if tail.iter().zip(&printed[start..]).all(|(shown, printed)| shown == printed) => {
            Ok(any + 1 + after)
        }
        _ => bail!("not what is shown"),
    }
}

/// Compares each README.ja.md with the README.md beside it: made from this very
/// text, with the same blocks, the same words in code and the same links.
pub(crate) fn compare_translations() -> Result<Vec<String>> {
    let mut mistakes = Vec::new();
    for original in documents()?.into_iter().filter(|file| file.ends_with("README.md")) {
        let translation = original.with_file_name("README.ja.md");
        let name = translation.strip_prefix(top()).unwrap_or(&translation).display();
        let Ok(text) = std::fs::read_to_string(&translation) else {
            mistakes.push(format!("there is no {name}"));
            continue;
        };
        let found = compare(&std::fs::read_to_string(&original)?, &text);
        mistakes.extend(found.into_iter().map(|mistake| format!("{name}: {mistake}")));
    }
    Ok(mistakes)
}

fn compare(original: &str, translation: &str) -> Vec<String> {
    let mut mistakes = Vec::new();
    let digest = Sha256::digest(original.as_bytes()).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    let first = translation.lines().next().unwrap_or_default();
    if !first.contains(&digest) {
        mistakes.push(format!("does not begin with <!-- README.md sha256: {digest} -->"));
    }
    let code = |text| blocks(text).iter().map(|block| block.lines.join("\n")).collect::<Vec<_>>();
    for (ours, theirs) in code(original).iter().zip(&code(translation)).filter(|(a, b)| a != b) {
        mistakes.push(format!("a block differs:\n{ours}\n--\n{theirs}"));
    }
    if code(original).len() != code(translation).len() {
        mistakes.push("the blocks are not as many".to_owned());
    }
    for (what, read) in [("code", in_code as fn(&str) -> BTreeSet<String>), ("link", links)] {
        let (ours, theirs) = (read(original), read(translation));
        mistakes.extend(ours.difference(&theirs).map(|word| format!("lacks the {what} {word}")));
        mistakes.extend(theirs.difference(&ours).map(|word| format!("has a {what} of its own: {word}")));
    }
    mistakes
}

/// The words between backticks, outside of blocks.
pub(crate) fn in_code(text: &str) -> BTreeSet<String> {
    let mut inside = false;
    let prose = text.lines().filter(|line| {
        let fence = line.starts_with("```");
        inside ^= fence;
        !fence && !inside
    });
    prose.flat_map(|line| line.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

fn links(text: &str) -> BTreeSet<String> {
    text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(shown: &[&str], printed: &[&str]) -> Option<usize> {
        matched(shown, &printed.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>()).ok()
    }

    #[test]
    fn output_ends_where_it_ends() {
        assert_eq!(used(&["a", "# b", "# next"], &["a", "# b"]), Some(2));
        assert_eq!(used(&["a", "# next"], &["b"]), None);
        assert_eq!(used(&["# next"], &[]), Some(0));
        assert_eq!(used(&["a"], &["a", "b"]), None);
    }

    #[test]
    fn three_dots_are_any_lines() {
        assert_eq!(used(&["a", "...", "z", "$ next"], &["a", "b", "c", "z"]), Some(3));
        assert_eq!(used(&["...", "$ next"], &["a"]), Some(1));
        assert_eq!(used(&["...", "z", "$ next"], &["a"]), None);
    }

    #[test]
    fn a_translation_keeps_words_and_links() {
        let found = compare("a `x` [l](t)\n", "b `y` [m](t)\n");
        let begins = ["does not begin with ", "lacks the code x", "has a code of its own: y"];
        assert_eq!(found.len(), begins.len(), "{found:?}");
        assert!(found.iter().zip(begins).all(|(found, begin)| found.starts_with(begin)), "{found:?}");
    }

    #[test]
    fn blocks_and_words_in_code() {
        let text = "a `x`\n```console\n$ `no`\n```\n[l](t) `y z`\n";
        assert_eq!(blocks(text)[0].lines, ["$ `no`"]);
        assert_eq!(blocks(text)[0].line, 3);
        assert_eq!(in_code(text).into_iter().collect::<Vec<_>>(), ["x", "y z"]);
        assert_eq!(links(text).into_iter().collect::<Vec<_>>(), ["t"]);
    }
}
