//! What the program's own process does in the new namespaces before it
//! becomes the program.

use crate::error::Error;
use crate::idmap::{self, Of, write_setgroups};
use crate::options::{BINFMT_MISC, Options};
use crate::plan::{Plan, SetGroupsAt};
use crate::value::{Propagation, SetGroups};
use chain::child::is_gone;
use chain::exec::Program;
use chain::notation::Signal;
use chain::sys::caps::{self, AmbientRaise, CapSet, CapSets};
use chain::sys::file::write_file;
use chain::sys::host::SetHostName;
use chain::sys::identity::{SetGid, SetGroups as DropGroups, SetUid};
use chain::sys::mount::Mount;
use chain::sys::namespace::{Namespaces, is_ours};
use chain::sys::process::{ChDir, ChRoot, Environment};
use chain::sys::signal::ParentDeathSignal;
use chain::{SysError, hint, sys, user};
use nix::errno::Errno;
use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::path::Path;

/// The parent, as `--kill-child` sees it.
#[derive(Debug)]
pub struct Parent {
    /// What to get when it dies.
    pub signal: Signal,
    /// Its pidfd: in a new pid namespace it has no number.
    pub process: OwnedFd,
}

impl Parent {
    /// Asks for the signal, and looks whether the parent died before that.
    ///
    /// # Errors
    /// The parent is gone: there is nobody to tell.
    pub fn watch(&self) -> Result<(), Error> {
        sys::make(&ParentDeathSignal(self.signal))?;
        if is_gone(&self.process) { Err(Error::Said { status: crate::FAILURE }) } else { Ok(()) }
    }
}

/// All steps up to exec.
///
/// # Errors
/// The first step that was refused.
pub fn prepare(plan: &Plan<'_>, parent: Option<&Parent>) -> Result<(), Error> {
    let options = plan.options;
    map_own_ids(plan)?;
    if let Some(name) = &options.hostname {
        sys::make(&SetHostName(name))?;
    }
    if options.kinds.has(Namespaces::MOUNT) {
        propagate(options.propagation)?;
    }
    let early = registers_early(options);
    if early {
        mount_binfmt(OsStr::new(BINFMT_MISC))?;
        register(options, OsStr::new(BINFMT_MISC))?;
    }
    change_folders(options)?;
    if let Some(dir) = &options.mount_proc {
        mount_proc(options, dir)?;
    }
    if let Some(dir) = &options.mount_binfmt {
        mount_binfmt(dir)?;
        if !early {
            register(options, dir)?;
        }
    }
    change_ids(options)?;
    if let Some(parent) = parent
        && (options.setuid.is_some() || options.setgid.is_some())
    {
        // The kernel forgot it with the old ids.
        parent.watch()?;
    }
    if options.keep_caps && options.kinds.has(Namespaces::USER) {
        keep_caps()?;
    }
    Ok(())
}

fn map_own_ids(plan: &Plan<'_>) -> Result<(), Error> {
    if !plan.users.is_empty() {
        idmap::write(Of::Users, None, &plan.users)?;
    }
    if plan.setgroups == SetGroupsAt::OwnMap {
        write_setgroups(None, SetGroups::Deny)?;
    }
    if !plan.groups.is_empty() {
        idmap::write(Of::Groups, None, &plan.groups)?;
    }
    if let SetGroupsAt::After(word) = plan.setgroups {
        write_setgroups(None, word)?;
    }
    Ok(())
}

fn propagate(propagation: Propagation) -> Result<(), Error> {
    let (flag, why) = match propagation {
        Propagation::Private => (libc::MS_PRIVATE, "what is mounted here is not seen outside, nor the other way round"),
        Propagation::Shared => (libc::MS_SHARED, "what is mounted here is seen outside, and the other way round"),
        Propagation::Slave => (libc::MS_SLAVE, "what is mounted outside is seen here, but not the other way round"),
        Propagation::Unchanged => return Ok(()),
    };
    set_propagation(OsStr::new("/"), flag, why).map_err(|error| {
        Error::advised(error, |errno| {
            (errno == Errno::EINVAL && hint::in_chroot()).then(|| {
                "the caller is in a chroot, whose root is no mount: add --propagation unchanged, or bind the root on \
                 itself first"
                    .to_owned()
            })
        })
    })
}

fn set_propagation(target: &OsStr, flag: u64, why: &str) -> Result<(), SysError> {
    let none = Some(OsStr::new("none"));
    sys::make(&Mount { source: none, target, fstype: None, flags: libc::MS_REC | flag, data: None, why })
}

/// chroot moves no working folder, so the way into the new root is two steps;
/// a relative folder then starts there.
fn change_folders(options: &Options) -> Result<(), Error> {
    let wd = options.wd.as_deref();
    if let Some(root) = &options.root {
        sys::make(&ChRoot(root))?;
        if !wd.is_some_and(|wd| Path::new(wd).is_absolute()) {
            sys::make(&ChDir(OsStr::new("/")))?;
        }
    }
    if let Some(wd) = wd {
        sys::make(&ChDir(wd))?;
    }
    Ok(())
}

/// What a mount of a kernel file system must not offer.
const PLAIN: u64 = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;

fn mount_proc(options: &Options, dir: &OsStr) -> Result<(), Error> {
    // Where the whole tree became private, this proc's mount did too.
    if options.root.is_none() && options.propagation != Propagation::Private {
        let why = "the new proc is not to be seen outside";
        match set_propagation(dir, libc::MS_PRIVATE, why) {
            // No mount is there yet, so none is shared.
            Err(error) if error.errno == Errno::EINVAL => {}
            result => result?,
        }
    }
    let why = "a proc shows the pid namespace of whoever mounts it: this one shows the new processes alone";
    let proc = Some(OsStr::new("proc"));
    sys::make(&Mount { source: proc, target: dir, fstype: proc, flags: PLAIN, data: None, why })
        .map_err(|error| Error::advised(error, |errno| proc_advice(options, errno)))
}

/// A user namespace may mount proc for a pid namespace of its own alone, and
/// only a child is in a new one.
fn proc_advice(options: &Options, errno: Errno) -> Option<String> {
    if errno == Errno::EPERM && is_ours("pid") == Some(false) {
        let words = if options.kinds.has(Namespaces::PID) {
            "this process is not in the new pid namespace, its children are: add --fork (-f)"
        } else {
            "a user namespace may mount proc for a pid namespace of its own alone: add --pid --fork"
        };
        return Some(words.to_owned());
    }
    hint::fresh(OsStr::new("proc"), errno)
}

fn mount_binfmt(dir: &OsStr) -> Result<(), Error> {
    let why = "which interpreter runs which program: each user namespace may have a table of its own";
    let kind = Some(OsStr::new("binfmt_misc"));
    sys::make(&Mount { source: kind, target: dir, fstype: kind, flags: PLAIN, data: None, why })
        .map_err(|error| Error::advised(error, binfmt_advice))
}

fn binfmt_advice(errno: Errno) -> Option<String> {
    match errno {
        Errno::ENODEV => Some("this kernel has no binfmt_misc: load the module (modprobe binfmt_misc)".to_owned()),
        Errno::EPERM if hint::kernel_before(6, 7) => {
            Some("a user namespace can have a binfmt_misc of its own since Linux 6.7".to_owned())
        }
        _ => None,
    }
}

/// With flag F the kernel opens the interpreter at once, so its path is the
/// caller's, not one below the new root.
fn registers_early(options: &Options) -> bool {
    options.root.is_some() && options.load_interp.as_deref().is_some_and(opens_at_once)
}

/// Whether flag F is set in `:name:type:offset:magic:mask:interpreter:flags`,
/// whose first character is the separator.
fn opens_at_once(definition: &OsStr) -> bool {
    use std::os::unix::ffi::OsStrExt;
    let bytes = definition.as_bytes();
    let Some(separator) = bytes.first() else { return false };
    bytes.split(|b| b == separator).nth(7).is_some_and(|flags| flags.contains(&b'F'))
}

fn register(options: &Options, dir: &OsStr) -> Result<(), Error> {
    use std::os::unix::ffi::OsStrExt;
    if let Some(definition) = &options.load_interp {
        let why = "from here on the kernel starts this interpreter for the programs described";
        write_file(&Path::new(dir).join("register"), definition.as_bytes(), why)?;
    }
    Ok(())
}

fn change_ids(options: &Options) -> Result<(), Error> {
    if let Some(gid) = options.setgid {
        sys::make(&DropGroups(&[])).map_err(|error| Error::advised(error, groups_advice))?;
        sys::make(&SetGid(gid)).map_err(|error| Error::advised(error, |errno| unmapped(errno, "gid", gid)))?;
    }
    if let Some(uid) = options.setuid {
        sys::make(&SetUid(uid)).map_err(|error| Error::advised(error, |errno| unmapped(errno, "uid", uid)))?;
    }
    Ok(())
}

fn groups_advice(errno: Errno) -> Option<String> {
    let denied = std::fs::read_to_string("/proc/self/setgroups").is_ok_and(|word| word.trim() == "deny");
    (errno == Errno::EPERM && denied).then(|| {
        "setgroups is denied in this user namespace: map the groups by a range (--map-auto, --map-groups), not by -r"
            .to_owned()
    })
}

fn unmapped(errno: Errno, which: &str, id: u32) -> Option<String> {
    (errno == Errno::EINVAL && hint::id_unmapped(&format!("{which}_map"), id))
        .then(|| format!("{which} {id} is not mapped in this user namespace: see /proc/self/{which}_map; map it too"))
}

/// Hands every capability in force on over exec, also for a program that is
/// not root's.
fn keep_caps() -> Result<(), Error> {
    let failed = |what: &str, errno| SysError { what: what.to_owned(), errno, hint: None };
    let now = caps::get().map_err(|errno| failed("capget failed", errno))?;
    sys::make(&CapSet(CapSets { inheritable: now.permitted, ..now }))?;
    // Raising one that the kernel does not know is an error.
    let count = caps::count().map_err(|errno| failed("prctl failed", errno))?;
    for number in (0..count).filter(|number| now.effective >> number & 1 == 1) {
        sys::make(&AmbientRaise(number))?;
    }
    Ok(())
}

/// Becomes the program, or the user's shell as a login shell.
///
/// # Errors
/// Returns only to report.
pub fn exec(options: &Options) -> Result<Infallible, Error> {
    let words = options.only_env.as_deref().map(kept_variables);
    let env = words.as_deref().map_or(Environment::Inherited, Environment::Only);
    if let Some(file) = options.program.first() {
        return Ok(Program { file, argv: &options.program, env, search: true }.become_it()?);
    }
    let shell = default_shell(&env);
    let name = Path::new(&shell).file_name().unwrap_or(&shell);
    let mut login = OsString::from("-");
    login.push(name);
    Ok(Program { file: &shell, argv: &[login], env, search: false }.become_it()?)
}

/// `NAME=VALUE` for those of `names` that are set, each once.
fn kept_variables(names: &[OsString]) -> Vec<OsString> {
    let mut kept: Vec<OsString> = Vec::new();
    for (i, name) in names.iter().enumerate() {
        if let Some(value) = std::env::var_os(name)
            && !names[..i].contains(name)
        {
            let mut word = name.clone();
            word.push("=");
            word.push(value);
            kept.push(word);
        }
    }
    kept
}

/// SHELL, else the shell of the real user's entry, else sh. Of the new root:
/// it is looked up last.
fn default_shell(env: &Environment<'_>) -> OsString {
    use std::os::unix::ffi::OsStrExt;
    let variable = match env {
        Environment::Inherited => std::env::var_os("SHELL"),
        Environment::Only(words) => words
            .iter()
            .find_map(|word| word.as_bytes().strip_prefix(b"SHELL="))
            .map(|value| OsStr::from_bytes(value).to_owned()),
    };
    let known = || user::user_by_id(nix::unistd::getuid().as_raw()).map(|user| OsString::from(user.shell));
    let given = variable.filter(|shell| !shell.is_empty());
    given.or_else(|| known().filter(|shell| !shell.is_empty())).unwrap_or_else(|| "/bin/sh".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flag_f_is_in_the_eighth_field() {
        let early = |text: &str| opens_at_once(OsStr::new(text));
        assert!(early(":name:M:0:magic:mask:/bin/x:F") && early(":n:E::x::/x:OCF") && early("|n|E||x||/x|F"));
        assert!(!early(":name:M:0:F:mask:/F:OC") && !early(":n:E::x::/F") && !early("") && !early(":"));
    }
}
