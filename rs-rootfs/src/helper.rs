//! A program that is asked one question: credential helpers.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Longer than this no helper is waited for.
const LIMIT: Duration = Duration::from_secs(30);
const ANSWER_MAX: u64 = 1 << 20;

/// What it answered.
#[derive(Debug)]
pub(crate) struct Answered {
    /// Its exit status, -1 after a signal.
    pub(crate) status: i32,
    /// Its standard output.
    pub(crate) stdout: Vec<u8>,
}

/// Runs `program get` with `question` on its standard input. What it says on
/// standard error is passed on.
#[allow(clippy::disallowed_methods, reason = "no link of the chain: it only answers, and nothing is changed for it")]
pub(crate) fn run(program: &str, question: &str) -> Result<Answered, String> {
    // Written while we hold both ends: a helper that does not read makes no
    // SIGPIPE. A pipe takes 64 KiB, a host's name is shorter.
    let (stdin, mut to) = std::io::pipe().map_err(|error| crate::reason(&error))?;
    to.write_all(question.as_bytes()).map_err(|error| crate::reason(&error))?;
    drop(to);
    let mut command = Command::new(program);
    command.arg("get").stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut child = command.spawn().map_err(|error| crate::reason(&error))?;
    drop(command);
    let (send, receive) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        // Where no thread can be started nothing is sent, which is no answer.
        let _ = std::thread::Builder::new().spawn(move || {
            let mut bytes = Vec::new();
            let read = stdout.take(ANSWER_MAX).read_to_end(&mut bytes);
            let _ = send.send(read.map(|_| bytes));
        });
    }
    let answer = receive.recv_timeout(LIMIT);
    if answer.is_err() {
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| crate::reason(&error))?;
    match answer {
        Ok(Ok(stdout)) => Ok(Answered { status: status.code().unwrap_or(-1), stdout }),
        Ok(Err(error)) => Err(crate::reason(&error)),
        Err(_) => Err(format!("no answer within {} seconds", LIMIT.as_secs())),
    }
}
