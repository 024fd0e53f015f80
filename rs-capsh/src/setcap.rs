//! `rs-setcap CAPS FILE...` gives capabilities to files.

use crate::file::{ATTRIBUTE, FileCaps, PartlyEffective};
use crate::state::has;
use crate::{number, text};
use chain::error::{Failure, strerror};
use chain::output::{OutputError, write_stdout};
use chain::sys::caps::{self, CapSet, CapSets};
use chain::sys::{make, xattr};
use chain::trace::{Level, raise};
use chain::{SysError, Tool};
use clap::{Arg, ArgAction, Command, ValueHint};
use nix::errno::Errno;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

/// Every failure.
const FAILURE: u8 = 1;

/// rs-setcap.
pub const TOOL: Tool = Tool::new("rs-setcap", FAILURE);

/// The number of cap_setfcap.
const SETFCAP: u32 = 31;

/// Why a file did not get its capabilities.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A word that belongs to another is not there.
    #[error("missing {0}\nTry '{name} --help' for more information.", name = chain::name())]
    Missing(&'static str),
    /// A text that is none.
    #[error("malformed capabilities '{}': {mistake}", .0.display(), mistake = .1)]
    Text(OsString, text::Mistake),
    /// A text of blanks would take away all that a file has.
    #[error("no capabilities given: '=' gives none, -r removes")]
    Blank,
    /// Not the number of a user other than 0.
    #[error("bad ns rootid: want positive integer, got '{}'", .0.display())]
    Root(OsString),
    /// The kernel refused.
    #[error(transparent)]
    Sys(#[from] SysError),
    /// cap_setfcap cannot be put in force.
    #[error("unable to set cap_setfcap effective capability: {}", strerror(*.0))]
    Setfcap(Errno),
    /// What `all` means is not to be learnt.
    #[error("cannot tell how many capabilities the kernel has: {}", strerror(*.0))]
    Kernel(Errno),
    /// The file cannot be looked at.
    #[error("failed to set capabilities on file '{}': {}", .0.display(), strerror(*.1))]
    File(OsString, Errno),
    /// A folder, a link, a device.
    #[error("invalid file '{}' for capability operation: not a regular file", .0.display())]
    NotRegular(OsString),
    /// The sets are none that a file can have.
    #[error("invalid file '{}' for capability operation: {mistake} (-f makes it so)", .0.display(), mistake = .1)]
    Partly(OsString, PartlyEffective),
    /// Nothing to remove.
    #[error("file '{}' has no capability to remove", .0.display())]
    NothingThere(OsString),
    /// Standard input.
    #[error("cannot read standard input: {}", strerror(*.0))]
    Input(Errno),
    /// Standard output.
    #[error(transparent)]
    Output(#[from] OutputError),
}

impl Failure for Error {
    fn status(&self) -> u8 {
        FAILURE
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Sys(error) => error.hint.clone(),
            _ => None,
        }
    }
}

/// What options said so far; they count for the pairs after them.
#[derive(Debug, Default)]
struct Options {
    quiet: bool,
    verify: bool,
    force: bool,
    root: u32,
}

/// Does the words, left to right, up to the first that fails.
///
/// # Errors
/// The first pair that could not be done; those before it have been.
pub fn run(words: &[OsString]) -> Result<ExitCode, Error> {
    let mut options = Options::default();
    let mut words = words.iter();
    if words.len() == 0 {
        return Err(Error::Missing("operand"));
    }
    while let Some(word) = words.next() {
        match word.as_bytes() {
            b"-q" => options.quiet = true,
            b"-v" => options.verify = true,
            b"-f" => options.force = true,
            b"-h" | b"--help" => {
                let mut command = TOOL.command(command().bin_name(chain::name()));
                print(command.render_help().to_string().as_bytes())?;
                return Ok(ExitCode::SUCCESS);
            }
            b"-V" | b"--version" => {
                let command = TOOL.command(command().name(chain::name()));
                print(command.render_version().as_bytes())?;
                return Ok(ExitCode::SUCCESS);
            }
            b"--license" => {
                print(crate::license_text().as_bytes())?;
                return Ok(ExitCode::SUCCESS);
            }
            b"--trace" => raise(Level::Trace),
            b"--explain" => raise(Level::Explain),
            b"-n" => options.root = root(words.next().ok_or(Error::Missing("ROOTID after -n"))?)?,
            _ => {
                let wanted = options.wanted(word)?;
                let file = words.next().ok_or(Error::Missing("FILE"))?;
                if !options.pair(wanted, file)? {
                    return Ok(FAILURE.into());
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print(bytes: &[u8]) -> Result<(), OutputError> {
    write_stdout(bytes).map_err(|errno| OutputError { errno, status: FAILURE })
}

fn root(word: &OsStr) -> Result<u32, Error> {
    number::whole(word.as_bytes()).filter(|root| *root != 0).ok_or_else(|| Error::Root(word.to_owned()))
}

impl Options {
    /// The sets that a word asks for; `None` to remove them.
    fn wanted(&self, word: &OsStr) -> Result<Option<CapSets>, Error> {
        let text = match word.as_bytes() {
            b"-r" => return Ok(None),
            b"-" => self.read_input()?,
            text => text.to_vec(),
        };
        if text.iter().all(|byte| number::is_blank(*byte)) && !self.force {
            return Err(Error::Blank);
        }
        let count = caps::count().map_err(Error::Kernel)?;
        let sets = text::parse(&text, count).map_err(|mistake| Error::Text(word.to_owned(), mistake))?;
        Ok(Some(sets))
    }

    /// A text on standard input, up to an empty line. The standard library is
    /// passed by: to it a descriptor that cannot be read is an empty one.
    fn read_input(&self) -> Result<Vec<u8>, Error> {
        if chain::startup::was_closed(0) {
            return Err(Error::Input(Errno::EBADF));
        }
        if !self.quiet {
            chain::error::write_stderr("Please enter caps for file [empty line to end]:\n");
        }
        let (mut text, mut byte) = (Vec::new(), [0]);
        // Byte by byte: what follows is for the next `-`.
        while !matches!(text.as_slice(), [b'\n'] | [.., b'\n', b'\n']) {
            match nix::unistd::read(std::io::stdin().as_fd(), &mut byte) {
                Ok(0) => break,
                Ok(_) => text.extend(byte),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(Error::Input(errno)),
            }
        }
        Ok(text)
    }

    /// Does one pair; `false` where the file was found to differ.
    fn pair(&self, wanted: Option<CapSets>, file: &OsStr) -> Result<bool, Error> {
        if self.verify {
            return self.compare(&wanted.unwrap_or_default(), file);
        }
        let about = fs::symlink_metadata(file)
            .map_err(|error| Error::File(file.to_owned(), error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)))?;
        if !about.is_file() {
            return Err(Error::NotRegular(file.to_owned()));
        }
        match wanted {
            Some(sets) => self.set(&sets, file)?,
            None => self.remove(file)?,
        }
        Ok(true)
    }

    fn set(&self, sets: &CapSets, file: &OsStr) -> Result<(), Error> {
        let caps = FileCaps::from_sets(sets, self.root, self.force)
            .map_err(|mistake| Error::Partly(file.to_owned(), mistake))?;
        put_setfcap_in_force()?;
        let why = "whoever executes this file gains these capabilities, within the bounding set";
        let value = &caps.to_bytes();
        make(&xattr::SetXattr { path: file, name: ATTRIBUTE, value, why }).map_err(|error| on(file, error))
    }

    fn remove(&self, file: &OsStr) -> Result<(), Error> {
        let there = xattr::get(file, ATTRIBUTE).map_err(|errno| Error::File(file.to_owned(), errno))?;
        if there.is_none() {
            return if self.force { Ok(()) } else { Err(Error::NothingThere(file.to_owned())) };
        }
        put_setfcap_in_force()?;
        let why = "whoever executes this file gains no capability by it";
        make(&xattr::RemoveXattr { path: file, name: ATTRIBUTE, why }).map_err(|error| on(file, error))
    }

    /// `-v`: whether the file has what is wanted: the one that a link leads
    /// to, as exec has it. A file that has nothing to read counts as one
    /// without.
    fn compare(&self, wanted: &CapSets, file: &OsStr) -> Result<bool, Error> {
        let bytes = xattr::get_through_links(file, ATTRIBUTE).ok().flatten();
        let has = bytes.and_then(|bytes| FileCaps::from_bytes(&bytes)).unwrap_or_default();
        let sets = has.sets();
        let pairs = [
            ('p', sets.permitted, wanted.permitted),
            ('i', sets.inheritable, wanted.inheritable),
            ('e', sets.effective, wanted.effective),
        ];
        let letters: String = pairs.iter().filter(|(_, has, want)| has != want).map(|(letter, ..)| letter).collect();
        let same_root = has.root == self.root;
        if letters.is_empty() && same_root {
            self.tell(&[file.as_bytes(), b": OK\n"])?;
            return Ok(true);
        }
        let owner = if same_root { String::new() } else { format!("nsowner[got={}, want={}],", has.root, self.root) };
        let end = format!(" differs in [{letters}]\n");
        self.tell(&[owner.as_bytes(), file.as_bytes(), end.as_bytes()])?;
        Ok(false)
    }

    fn tell(&self, parts: &[&[u8]]) -> Result<(), Error> {
        if !self.quiet {
            print(&parts.concat())?;
        }
        Ok(())
    }
}

fn on(file: &OsStr, error: SysError) -> Error {
    let what = format!("failed to set capabilities on file '{}'", file.display());
    Error::Sys(SysError { what, ..error })
}

/// Puts cap_setfcap in force where it is permitted but not.
fn put_setfcap_in_force() -> Result<(), Error> {
    let now = caps::get().map_err(Error::Setfcap)?;
    if has(now.effective, SETFCAP) {
        return Ok(());
    }
    make(&CapSet(CapSets { effective: now.effective | 1 << SETFCAP, ..now }))
        .map_err(|error| Error::Setfcap(error.errno))
}

/// The options, for the help and the documents.
pub fn command() -> Command {
    let flag =
        |name: char, help: &'static str| Arg::new(name.to_string()).short(name).action(ArgAction::SetTrue).help(help);
    Command::new("rs-setcap")
        .about("Give capabilities to files; options count for the pairs after them")
        .after_help("Example: rs-setcap cap_net_bind_service+ep SERVER")
        .override_usage("rs-setcap [-q] [-v] [-f] [-n ROOTID] {CAPS | - | -r} FILE ...")
        .arg(flag('q', "do not ask or tell"))
        .arg(flag('v', "change nothing, tell whether files have what is given"))
        .arg(flag('f', "take what a file can say only nearly; removing nothing is fine"))
        .arg(
            Arg::new("rootid")
                .short('n')
                .value_name("ROOTID")
                .help("count in the user namespace whose root is that user"),
        )
        .arg(flag('r', "in place of CAPS: remove the file's capabilities"))
        .arg(Arg::new("license").long("license").action(ArgAction::SetTrue).help("show the license"))
        .arg(Arg::new("caps").value_name("CAPS").help("capability text, see capsh(1); - reads it, up to an empty line"))
        .arg(Arg::new("file").value_name("FILE").value_hint(ValueHint::FilePath).help("a regular file"))
}
