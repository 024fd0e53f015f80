//! `bundle`: a root file system and the `config.json` that asks an OCI runtime
//! for what our chain does (OCI runtime-spec 1.0.2): runc, crun, containerd
//! run the same container.

use crate::apply::{Privilege, Rules, Unpacker};
use crate::document::Config;
use crate::image::Options;
use crate::platform::Platform;
use crate::unpack::{Opened, Unpack};
use crate::{Error, unpack};
use anyhow::{Context, Result, anyhow, bail};
use chain::sys::durable::write_all_at;
use chain::sys::file::{At, Fd, MkdirAt, OpenAt, UnlinkAt};
use chain::sys::{make, quietly};
use clap::{Parser, ValueHint};
use serde_json::{Value, json};
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What the chain's group may use: 10 MB, 30 % of a CPU.
const MEMORY: u64 = 10_000_000;
const CPU_PERIOD: u64 = 1_000_000;
const CPU_QUOTA: u64 = 300_000;
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const WHY: &str = "An OCI runtime wants a folder with config.json and the root file system";

/// Make an OCI runtime bundle
#[derive(Debug, Parser)]
#[command(after_help = "\
SOURCE is what unpack takes; see 'rs-rootfs unpack --help'. DIR becomes
DIR/rootfs and DIR/config.json.

Example: rs-rootfs bundle host: b -- sh -c id && runc run -b b name")]
pub struct Bundle {
    /// choose this image of an index: linux/arm64
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Platform>,
    /// allow plain http and bad certificates
    #[arg(long)]
    insecure: bool,
    /// the container's host name; else a new UUID
    #[arg(long, value_name = "NAME")]
    hostname: Option<String>,
    /// limit memory to BYTES; else to 10 MB
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    memory: Option<u64>,
    /// set no limits: where no control group can be made
    #[arg(long)]
    no_limits: bool,
    /// give the program a terminal
    #[arg(short, long)]
    tty: bool,
    /// say nothing but errors
    #[arg(short, long)]
    quiet: bool,
    /// where from
    #[arg(value_name = "SOURCE")]
    source: OsString,
    /// where to: made if missing, else an empty folder
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    dir: PathBuf,
    /// the program, and its arguments; the image's own if not given
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_hint = ValueHint::CommandWithArguments)]
    program: Vec<OsString>,
}

fn bytes(text: &str) -> Result<u64, String> {
    crate::config::bytes(text).ok_or_else(|| format!("invalid number of bytes '{text}'"))
}

/// Runs the verb.
///
/// # Errors
/// It could not be made; nothing is left of it.
pub fn run(bundle: &Bundle) -> Result<ExitCode, Error> {
    let there = is_there(&bundle.dir)?;
    bundle.make(there).or_else(|error| unpack::ended(error, &bundle.source))
}

/// Whether DIR is there, which must be empty then.
fn is_there(dir: &Path) -> Result<bool> {
    match fs::read_dir(dir).and_then(|mut list| list.next().transpose()) {
        Ok(None) => Ok(true),
        Ok(Some(_)) => bail!("cannot use {}: it is not empty", dir.display()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => bail!("cannot use {}: {}", dir.display(), crate::reason(&error)),
    }
}

/// Removes what was put into DIR, which was empty.
fn empty(dir: &Path) -> Result<()> {
    let root = File::open(dir).map_err(|error| anyhow!("{}", crate::reason(&error)))?.into();
    Unpacker::new(root, dir, Privilege::of_this_process()?, Rules::default())?.undo()
}

impl Bundle {
    /// DIR, whole or not at all.
    fn make(&self, there: bool) -> Result<ExitCode> {
        let unpack = self.unpack();
        // Until the source answers nothing was made, and a signal is the end.
        let opened = unpack.open()?;
        chain::interrupt::catch();
        if !there {
            make(&MkdirAt { dir: At::Cwd, path: self.dir.as_os_str(), mode: 0o755, why: WHY })?;
        }
        let filled = self.fill(&unpack, opened);
        if filled.is_err() {
            // The first cause is what is told.
            let _ = empty(&self.dir);
        }
        if filled.is_err() && !there {
            let why = "The bundle is not whole";
            let (dir, path) = (At::Cwd, self.dir.as_os_str());
            let _ = quietly(&UnlinkAt { dir, path, flags: libc::AT_REMOVEDIR, why });
        }
        filled.map(|()| ExitCode::SUCCESS)
    }

    fn unpack(&self) -> Unpack {
        let options = Options {
            platform: self.platform.clone(),
            insecure: self.insecure,
            quiet: self.quiet,
            ..Options::default()
        };
        Unpack::plain(self.source.clone(), self.dir.join("rootfs"), options)
    }

    fn fill(&self, unpack: &Unpack, opened: Opened) -> Result<()> {
        let done = unpack.unpack(opened)?;
        let text = serde_json::to_string_pretty(&self.config(done.config.as_ref())?)?;
        let path = self.dir.join("config.json");
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
        let file = make(&OpenAt { dir: At::Cwd, path: path.as_os_str(), flags, mode: 0o644, why: WHY })?;
        write_all_at(Fd { fd: file.as_fd(), path: &path }, format!("{text}\n").as_bytes(), 0)?;
        unpack.tell(&done);
        Ok(())
    }

    /// What the runtime is asked for.
    fn config(&self, image: Option<&Config>) -> Result<Value> {
        let start = image.map(|image| &image.config);
        // A `--` between DIR and the program is not the program's.
        let own = self.program.strip_prefix(&[OsString::from("--")]).unwrap_or(&self.program);
        let own: Vec<String> = own.iter().map(|word| text(word)).collect::<Result<_>>()?;
        let args = match start {
            _ if !own.is_empty() => own,
            Some(start) if !(start.entrypoint.is_empty() && start.cmd.is_empty()) => {
                [start.entrypoint.clone(), start.cmd.clone()].concat()
            }
            _ => vec!["/bin/sh".to_owned()],
        };
        let mut env = start.map(|start| start.env.clone()).unwrap_or_default();
        for default in [PATH, "TERM=xterm"] {
            let name = default.split_inclusive('=').next().unwrap_or_default();
            if !env.iter().any(|word| word.starts_with(name)) {
                env.push(default.to_owned());
            }
        }
        let cwd = start.map(|start| start.working_dir.as_str()).filter(|cwd| cwd.starts_with('/')).unwrap_or("/");
        let capabilities = capabilities();
        let hostname = self.hostname.clone().map_or_else(uuid, Ok)?;
        Ok(json!({
            "ociVersion": "1.0.2",
            "process": {
                "terminal": self.tty,
                "user": { "uid": 0, "gid": 0 },
                "args": args,
                "env": env,
                "cwd": cwd,
                "capabilities": { "bounding": capabilities, "effective": capabilities, "permitted": capabilities },
                "noNewPrivileges": false,
            },
            "root": { "path": "rootfs", "readonly": false },
            "hostname": hostname,
            "mounts": mounts(),
            "linux": self.linux(),
        }))
    }

    fn linux(&self) -> Value {
        let one = |id: u32| json!([{ "containerID": 0, "hostID": id, "size": 1 }]);
        let (uid, gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
        let kinds = ["user", "mount", "uts", "ipc", "network", "pid"].map(|kind| json!({ "type": kind }));
        let mut linux = json!({ "namespaces": kinds, "uidMappings": one(uid), "gidMappings": one(gid) });
        if !self.no_limits {
            linux["resources"] = json!({
                "memory": { "limit": self.memory.unwrap_or(MEMORY) },
                "cpu": { "period": CPU_PERIOD, "quota": CPU_QUOTA },
            });
        }
        linux
    }
}

fn text(word: &OsStr) -> Result<String> {
    word.to_str().map(str::to_owned).with_context(|| format!("'{}' is not UTF-8, which config.json is", word.display()))
}

/// All but the one that the chain drops.
fn capabilities() -> Vec<&'static str> {
    CAPABILITIES.into_iter().filter(|name| *name != "CAP_SYS_CHROOT").collect()
}

/// What the chain's stages mount: /proc, devices, terminals of their own.
fn mounts() -> Value {
    json!([
        { "destination": "/proc", "type": "proc", "source": "proc" },
        {
            "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
            "options": ["nosuid", "strictatime", "mode=755", "size=65536k"],
        },
        {
            "destination": "/dev/pts", "type": "devpts", "source": "devpts",
            "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
        },
    ])
}

/// A random UUID (RFC 9562, version 4).
fn uuid() -> Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)).context("cannot read /dev/urandom")?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::new();
    for (i, byte) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

/// capabilities(7), in the order of their numbers.
const CAPABILITIES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];
