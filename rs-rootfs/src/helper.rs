//! A program that is asked one question: credential helpers.

use std::io::{self, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Longer than this no helper is waited for.
const LIMIT: Duration = Duration::from_secs(30);
/// How often who waits looks for a signal.
const LOOK: Duration = Duration::from_millis(50);
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
    let (stdin, mut to) = io::pipe().map_err(|error| crate::reason(&error))?;
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
    let begun = Instant::now();
    let answer = within(begun, || match receive.recv_timeout(LOOK) {
        Err(RecvTimeoutError::Timeout) => None,
        answer => Some(answer.ok()),
    });
    // One may have closed its output and go on.
    let status = answer.as_ref().and_then(|_| within(begun, || ended(&mut child)));
    let Some(status) = status else {
        let _ = child.kill();
        let _ = child.wait();
        return Err(format!("no answer within {} seconds", LIMIT.as_secs()));
    };
    let status = status.map_err(|error| crate::reason(&error))?;
    match answer.flatten() {
        Some(Ok(stdout)) => Ok(Answered { status: status.code().unwrap_or(-1), stdout }),
        Some(Err(error)) => Err(crate::reason(&error)),
        None => Err("no thread for its answer".to_owned()),
    }
}

/// What `look` finds at last; `None` when it takes too long, or a signal asks
/// to stop.
fn within<T>(begun: Instant, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if begun.elapsed() >= LIMIT || crate::interrupted().is_err() {
            return None;
        }
    }
}

/// How `child` ended; else a moment passes.
fn ended(child: &mut Child) -> Option<io::Result<ExitStatus>> {
    let status = child.try_wait().transpose();
    if status.is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    status
}
