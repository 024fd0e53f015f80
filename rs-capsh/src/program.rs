//! The words that run something.

use crate::error::{FAILURE, Problem};
use crate::identity::number;
use crate::state::{Next, Outcome, State};
use chain::SysError;
use chain::child::{End, default_sigchld, ignore_sigchld, wait};
use chain::exec::Program;
use chain::inside::{self, Refused};
use chain::sys::make;
use chain::sys::process::{Environment, Fork, Forked, Kill};
use nix::errno::Errno;
use nix::unistd::{AccessFlags, Pid, access};
use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What running something gives: the status of a child, or the reason why
/// there is no program.
pub(crate) type Ran = Result<u8, Problem>;

/// `--`: becomes the shell.
pub(crate) fn shell(state: &mut State, words: &[OsString]) -> Ran {
    match become_shell(state, words)? {}
}

/// `-+`: the shell as a child.
pub(crate) fn shell_child(state: &mut State, words: &[OsString]) -> Ran {
    in_child(state, |state| become_shell(state, words))
}

/// `==`: becomes capsh again.
pub(crate) fn itself(state: &mut State, words: &[OsString]) -> Ran {
    match become_itself(state, words)? {}
}

/// `=+`: capsh again, as a child.
pub(crate) fn itself_child(state: &mut State, words: &[OsString]) -> Ran {
    in_child(state, |state| become_itself(state, words))
}

/// `--exec PROGRAM [ARG]...`: becomes a program found in PATH.
pub(crate) fn exec(state: &mut State, words: &[OsString]) -> Ran {
    let file = words.first().ok_or(Problem::NoProgram)?;
    restore_signals(state)?;
    match become_it(state, file, words, true).map_err(Problem::Exec)? {}
}

/// Becomes `file`; after `--chroot` only what is of the new root.
fn become_it(state: &State, file: &OsStr, argv: &[OsString], search: bool) -> Result<Infallible, Refused> {
    let env = state.environment.as_deref().map_or(Environment::Inherited, Environment::Only);
    let program = Program { file, argv, env, search };
    if state.new_root {
        inside::check(&program)?;
    }
    Ok(program.become_it()?)
}

/// Makes a child whose end can be waited for.
fn fork(state: &mut State, why: &str) -> Result<Forked, Problem> {
    state.sigchld_was_ignored |= default_sigchld()?;
    Ok(make(&Fork(why))?)
}

/// Leaves to the program what [`fork`] changed as this process found it.
fn restore_signals(state: &State) -> Result<(), Problem> {
    if state.sigchld_was_ignored {
        ignore_sigchld()?;
    }
    Ok(())
}

fn become_shell(state: &State, words: &[OsString]) -> Result<Infallible, Problem> {
    let argv: Vec<OsString> = std::iter::once(&state.shell).chain(words).cloned().collect();
    become_file(state, &state.shell, &argv)
}

fn become_itself(state: &State, words: &[OsString]) -> Result<Infallible, Problem> {
    let file = find_itself()?.into_os_string();
    let quiet = state.quiet.then(|| OsString::from("--quiet"));
    let argv: Vec<OsString> = std::iter::once(file.clone()).chain(quiet).chain(words.iter().cloned()).collect();
    become_file(state, &file, &argv)
}

/// Becomes `path` as it is: neither PATH nor `/bin/sh` steps in.
fn become_file(state: &State, path: &OsStr, argv: &[OsString]) -> Result<Infallible, Problem> {
    restore_signals(state)?;
    become_it(state, path, argv, false).map_err(Problem::Start)
}

/// The file that argv[0] names: with a `/` as it is, else the first that may
/// be executed in PATH, whose empty elements are skipped. Not /proc/self/exe:
/// after a change of root the new root's own is meant.
fn find_itself() -> Result<PathBuf, Problem> {
    let name = std::env::args_os().next().unwrap_or_default();
    if name.as_bytes().contains(&b'/') {
        return Ok(name.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = path.as_bytes().split(|b| *b == b':').filter(|folder| !folder.is_empty());
    let mut files = folders.map(|folder| Path::new(OsStr::from_bytes(folder)).join(&name));
    files.find(|file| !name.is_empty() && access(file, AccessFlags::X_OK).is_ok()).ok_or(Problem::Itself(name))
}

/// Runs `become_it` in a child and waits: its status, 1 if a signal killed
/// it. A child that cannot become the program leaves word why; the program
/// never sees the two ends, which exec closes.
fn in_child(state: &mut State, become_it: impl FnOnce(&State) -> Result<Infallible, Problem>) -> Ran {
    let failed = |what: &str, errno| Problem::Sys(SysError { what: what.to_owned(), errno, hint: None });
    let (mut reading, mut writing) = word_pair().map_err(|error| failed("socketpair failed", errno_of(&error)))?;
    let pid = match fork(state, "the program runs beside this process, which waits for it")? {
        Forked::Parent(pid) => pid,
        Forked::Child => {
            let Err(problem) = become_it(state);
            let said = [Some(problem.to_string()), problem.hint()].into_iter().flatten().collect::<Vec<_>>();
            let _ = writing.write_all(said.join("\0").as_bytes());
            return Ok(FAILURE);
        }
    };
    let end = wait(pid).map_err(|errno| failed("cannot wait for the child", errno))?;
    let mut reason = Vec::new();
    // The end of it is that there is no more.
    let _ = reading.read_to_end(&mut reason);
    if !reason.is_empty() {
        let said = String::from_utf8_lossy(&reason);
        let (message, hint) = said.split_once('\0').map_or((&*said, None), |(message, hint)| (message, Some(hint)));
        return Err(Problem::Child { message: message.to_owned(), hint: hint.map(str::to_owned) });
    }
    match end {
        End::Exited(status) => Ok(status),
        End::Killed(signal) => Err(Problem::ChildEnded(format!("was killed by signal {signal}"))),
    }
}

/// Two ends on which nobody ever waits for the other.
fn word_pair() -> std::io::Result<(UnixStream, UnixStream)> {
    let (one, other) = UnixStream::pair()?;
    one.set_nonblocking(true)?;
    other.set_nonblocking(true)?;
    Ok((one, other))
}

fn errno_of(error: &std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or_default())
}

/// `--forkfor=N`: a child that does nothing for N seconds.
pub(crate) fn forkfor(state: &mut State, value: &OsStr) -> Outcome {
    let seconds = number(value)?;
    if state.child.is_some() {
        return Err(Problem::ChildThere);
    }
    if seconds == 0 {
        chain::say("--forkfor=0: the child must sleep for a second at least");
        return Ok(Next::Usage);
    }
    match fork(state, "a second process lives beside this one for a while, to be killed by --killit")? {
        Forked::Parent(pid) => {
            state.child = Some(pid);
            Ok(Next::GoOn)
        }
        Forked::Child => {
            std::thread::sleep(Duration::from_secs(seconds.into()));
            Ok(Next::End(0))
        }
    }
}

/// `--killit=N`: signal N to the child, which must die of it; 0 if it is to
/// end by itself.
pub(crate) fn killit(state: &mut State, value: &OsStr) -> Outcome {
    let wanted = number(value)?;
    let child = state.child.ok_or(Problem::NoChild)?;
    // The kernel refuses what is no signal.
    let signal = i32::try_from(wanted).unwrap_or(i32::MAX);
    make(&Kill { pid: child, signal })?;
    state.child = None;
    match (ended(child)?, signal) {
        (End::Exited(_), 0) => Ok(Next::GoOn),
        (End::Killed(of), signal) if of == signal => Ok(Next::GoOn),
        (End::Exited(status), _) => Err(Problem::ChildEnded(format!("exited with status {status}"))),
        (End::Killed(of), _) => Err(Problem::ChildEnded(format!("was killed by signal {of}"))),
    }
}

fn ended(child: Pid) -> Result<End, Problem> {
    let what = "cannot wait for the child";
    wait(child).map_err(|errno| Problem::Sys(SysError { what: what.to_owned(), errno, hint: None }))
}
