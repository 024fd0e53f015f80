//! Scopes: groups that systemd makes and knows of (systemd.scope(5)).

use crate::dbus::{Body, Bus, Error as BusError, PATIENCE, Target};
use crate::status::{Error, FAILED, INVALID};
use chain::child::start;
use chain::sys;
use chain::sys::file::{At, Fd, MkdirAt, OpenAt, Write};
use chain::sys::process::{CloseOnExecFrom, Environment, Execve, SetSid};
use chain::sys::signal::Kill;
use nix::errno::Errno;
use nix::unistd::Pid;
use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Instant;

/// What the process that keeps an empty scope alive is called.
const IDLE: &str = "libcgroup_systemd_idle_thread";
/// The hidden option by which it is one.
pub const IDLE_OPTION: &str = "--idle";

const MANAGER: Target = Target {
    name: "org.freedesktop.systemd1",
    path: "/org/freedesktop/systemd1",
    interface: "org.freedesktop.systemd1.Manager",
};

/// The two names of `SLICE/SCOPE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope<'a> {
    /// The slice it lies in.
    pub slice: &'a str,
    /// Its own name.
    pub scope: &'a str,
}

impl<'a> Scope<'a> {
    /// Reads `SLICE/SCOPE`.
    ///
    /// # Errors
    /// Not exactly one slash, or a name that systemd's own files begin with.
    pub fn parse(group: &'a OsStr) -> Result<Self, Error> {
        let wrong = |why: &str| {
            let message = format!("wrong scope '{}': {why}", group.display());
            Error::Argument { message, status: INVALID }
        };
        let text = group.to_str().ok_or_else(|| wrong("not UTF-8"))?;
        let (slice, scope) = text.split_once('/').ok_or_else(|| wrong("want SLICE/SCOPE"))?;
        if slice.is_empty() || scope.is_empty() || scope.contains('/') {
            return Err(wrong("want SLICE/SCOPE"));
        }
        let stem = scope.strip_suffix(".scope").unwrap_or(scope);
        let taken = ["cpu", "cpuacct", "cpuset", "io", "blkio", "memory", "devices", "pids"];
        if taken.contains(&stem) || stem.starts_with("bpf-") {
            return Err(wrong("this name is a controller's"));
        }
        Ok(Self { slice, scope })
    }

    /// Asks systemd for the scope, with `pid` in it, else an idle process,
    /// and waits until it is there.
    ///
    /// # Errors
    /// 93: systemd cannot be reached, or refuses.
    pub fn start(&self, pid: Option<u32>) -> Result<(), Error> {
        let failed = |error: BusError| match error {
            BusError::System(source) => Error::Step { source, status: FAILED },
            other => {
                let message = format!("cannot start the scope {}: {other}", self.scope);
                Error::Argument { message, status: FAILED }
            }
        };
        // Before anything is started: most hosts without systemd end here.
        let mut bus = Bus::system().map_err(failed)?;
        let idle = match pid {
            Some(_) => None,
            None => Some(start_idle()?),
        };
        let pid = pid.or(idle.and_then(|pid| u32::try_from(pid.as_raw()).ok())).unwrap_or(0);
        self.ask(&mut bus, pid).map_err(|error| {
            if let Some(pid) = idle {
                let _ = sys::quietly(&Kill { pid, signal: libc::SIGKILL });
            }
            failed(error)
        })
    }

    fn ask(&self, bus: &mut Bus, pid: u32) -> Result<(), BusError> {
        bus.listen("type='signal',interface='org.freedesktop.systemd1.Manager',member='JobRemoved'")?;
        bus.call(MANAGER, "Subscribe", "", &Body::default())?;
        let mut body = Body::default();
        body.string(self.scope);
        body.string("fail");
        body.array(8, |all| {
            all.property("Description", "s", |value| value.string("scope made by cgcreate"));
            all.property("PIDs", "au", |value| value.array(4, |pids| pids.number(pid)));
            all.property("Slice", "s", |value| value.string(self.slice));
            all.property("Delegate", "b", |value| value.number(1));
        });
        body.array(8, |_| {});
        let job = bus.call(MANAGER, "StartTransientUnit", "ssa(sv)a(sa(sv))", &body)?;
        let job = job.strings(0).into_iter().next().unwrap_or_default();
        let until = Instant::now() + PATIENCE;
        loop {
            let signal = bus.signal(until, MANAGER.name)?;
            let words = signal.strings(1);
            if signal.member == "JobRemoved" && words.first() == Some(&job) {
                return match words.get(2).map(String::as_str) {
                    Some("done") => Ok(()),
                    result => Err(BusError::Refused(format!("the job ended as '{}'", result.unwrap_or("?")))),
                };
            }
        }
    }

    /// Notes the scope as the default group of all tools.
    ///
    /// # Errors
    /// The refused step, 93.
    pub fn note(&self) -> Result<(), Error> {
        let file = Path::new(crate::hierarchy::DEFAULT_GROUP);
        let why = "the tools put this group before names without a leading slash";
        let folder = file.parent().unwrap_or(file).as_os_str();
        match sys::make(&MkdirAt { dir: At::Cwd, path: folder, mode: 0o755, why }) {
            Err(error) if error.errno != Errno::EEXIST => return Err(Error::Step { source: error, status: FAILED }),
            _ => {}
        }
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC;
        let call = OpenAt { dir: At::Cwd, path: file.as_os_str(), flags, mode: 0o644, why };
        let fd = sys::make(&call).map_err(Error::step(FAILED))?;
        let text = format!("{}/{}", self.slice, self.scope);
        let call = Write { fd: Fd { fd: fd.as_fd(), path: file }, bytes: text.as_bytes(), why };
        sys::make(&call).map_err(Error::step(FAILED)).map(drop)
    }
}

/// A scope without a process vanishes: one that does nothing keeps it. It
/// holds none of our descriptors, so that nobody waits for it.
fn start_idle() -> Result<Pid, Error> {
    let why = "a scope lives as long as a process is in it: this one does nothing";
    start(why, || match become_idle() {
        Ok(never) => match never {},
        Err(_) => 1,
    })
    .map_err(Error::step(FAILED))
}

fn become_idle() -> Result<Infallible, Errno> {
    sys::quietly(&SetSid)?;
    sys::quietly(&CloseOnExecFrom(0))?;
    let argv = [OsString::from(IDLE), IDLE_OPTION.into()];
    Execve { path: OsStr::new("/proc/self/exe"), argv: &argv, env: Environment::Only(&[]) }.become_it()
}

/// Does nothing until a signal ends it.
pub fn idle() -> ! {
    loop {
        nix::unistd::pause();
    }
}

/// Ends the idle process of the scope at `dir`, now that another is in it.
pub fn replace_idle(dir: &Path) {
    for pid in fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default().lines() {
        let name = fs::read(Path::new("/proc").join(pid).join("cmdline")).unwrap_or_default();
        if let (true, Ok(pid)) = (name.starts_with(IDLE.as_bytes()), pid.parse()) {
            let _ = sys::quietly(&Kill { pid: Pid::from_raw(pid), signal: libc::SIGKILL });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let scope = Scope::parse(OsStr::new("a.slice/b.scope")).expect("a scope");
        assert_eq!((scope.slice, scope.scope), ("a.slice", "b.scope"));
        for wrong in ["b.scope", "a/b/c", "/b", "a/", "a/cpu.scope", "a/memory", "a/bpf-x.scope"] {
            assert!(Scope::parse(OsStr::new(wrong)).is_err(), "{wrong}");
        }
    }
}
