//! Sets up the mounts and devices of a container's root, then becomes the
//! next program: every step is done and verified, or nothing is run.
//!
//! The root's contents belong to whoever made the image. Fixed places are
//! walked one component at a time and no link is followed; paths of the user
//! are resolved inside the root; mounts are put on descriptors, not on names.
#![forbid(unsafe_code)]

pub mod action;
pub mod bind;
pub mod cgroup;
pub mod cli;
pub mod device;
pub mod error;
pub mod fresh;
pub mod leave;
pub mod link;
pub mod mask;
pub mod options;
pub mod plan;
pub mod resolve;
pub mod root;
pub mod tty;
pub mod value;
pub mod verify;

use action::{Action, Opened, Work};
use bind::{Change, change_flags};
use chain::error::escaped;
use chain::exec::Program;
use chain::notation::quoted;
use chain::sys::inherit::Umask;
use chain::sys::make;
use chain::sys::mount::Mount;
use chain::sys::mount::tree::MountAttr;
use chain::{Page, Tool};
use cli::TABLE;
use error::{AtPlace, Error, FAILURE, Why};
use options::Options;
use root::Root;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;
use value::Propagation;

/// Its name, and the status of usage errors.
pub const TOOL: Tool = Tool::new("rs-mountdev", FAILURE);

/// The whole tool.
pub fn main() -> ExitCode {
    chain::run_table(&TOOL, &TABLE, run)
}

/// Does all that the command line asks for, then becomes COMMAND.
///
/// # Errors
/// The first step that could not be done; COMMAND was not started.
fn run(options: &Options) -> Result<ExitCode, Error> {
    let actions = plan::actions(options);
    if options.dry_run {
        return dry_run(options, &actions);
    }
    let mask = make(&Umask { mask: 0, why: "what is made in the root has the mode that is asked for" }).at("umask")?;
    set_up(options, &actions)?;
    make(&Umask { mask, why: "the program gets the umask that we were given" }).at("umask")?;
    let program = Program::of(&options.command);
    if options.pivot {
        chain::inside::check(&program)?;
    }
    match program.become_it()? {}
}

/// The steps in their fixed order, up to the pivot.
fn set_up(options: &Options, actions: &[Action]) -> Result<(), Error> {
    let say = |text: &str| {
        if options.verbose {
            chain::say(&escaped(text));
        }
    };
    if let Some(how) = options.propagation {
        if let Some(step) = propagation_step(how) {
            say(&step);
        }
        propagate(how)?;
    }
    let root = Root::open(options.root())?;
    if options.propagation.is_none() {
        root.refuse_shared()?;
    }
    let opened = actions.iter().map(Action::open).collect::<Result<Vec<Opened>, Error>>()?;
    // After a pivot the working folder is the new root.
    let below = options.read_only && !options.pivot && root.holds_working_folder();
    let mut work = Work { root, expected: Vec::new(), users: Vec::new() };
    if options.read_only || options.pivot {
        say("--root: mount it on itself");
        work.cover_root()?;
    }
    for (action, opened) in actions.iter().zip(opened) {
        if matches!(opened, Opened::Skip) {
            continue;
        }
        say(&action.to_string());
        action.act(&mut work, opened)?;
    }
    if options.read_only {
        say("--read-only: make the root read-only");
        let change = Change { set: MountAttr::RDONLY, ..Change::default() };
        change_flags(work.root.as_fd(), change, "--read-only".as_ref())?;
    }
    work.verify()?;
    // Before the pivot: older kernels need the outer proc for the one, and
    // the other may look at the terminal.
    leave::close_descriptors(options.preserve_fds)?;
    if options.new_session {
        say("--new-session: leave the session");
        leave::new_session()?;
    }
    if options.pivot {
        say("--pivot: make it the root of this mount namespace");
        return leave::pivot(&work.root);
    }
    if below {
        leave::covered(&work.root)?;
    }
    if options.read_only { still_leads_there(&work.root, options.root()) } else { Ok(()) }
}

/// COMMAND must come to the root that was made read-only, not to what that
/// covers, by the path that was given.
fn still_leads_there(root: &Root, given: &OsStr) -> Result<(), Error> {
    let again = Root::open(given)?;
    if root.is(again.as_fd().fd)? { Ok(()) } else { Err(root.refused(Why::WorkingFolder)) }
}

fn propagate(how: Propagation) -> Result<(), Error> {
    let kind = match how {
        Propagation::Private => libc::MS_PRIVATE,
        Propagation::Slave => libc::MS_SLAVE,
        Propagation::Unchanged => return Ok(()),
    };
    let call = Mount {
        source: None,
        target: OsStr::new("/"),
        fstype: None,
        flags: libc::MS_REC | kind,
        data: None,
        why: "what is mounted from here on stays in this mount namespace",
    };
    make(&call).at("--propagation")
}

fn propagation_step(how: Propagation) -> Option<String> {
    let changes = how != Propagation::Unchanged;
    changes.then(|| format!("--propagation: make all mounts {}", format!("{how:?}").to_lowercase()))
}

/// Says what would be done.
fn dry_run(options: &Options, actions: &[Action]) -> Result<ExitCode, Error> {
    let mut lines = Vec::new();
    lines.extend(options.propagation.and_then(propagation_step));
    let root = Root::open(options.root())?;
    if options.read_only || options.pivot {
        lines.push("--root: mount it on itself".to_owned());
    }
    lines.extend(actions.iter().map(ToString::to_string));
    let last = [
        (options.read_only, "--read-only: make the root read-only"),
        (options.new_session, "--new-session: leave the session"),
        (options.pivot, "--pivot: make it the root of this mount namespace"),
    ];
    lines.extend(last.iter().filter(|(asked, _)| *asked).map(|(_, line)| (*line).to_owned()));
    // Where a word ends must be seen.
    let plain = |word: &OsStr| !word.is_empty() && !word.as_bytes().iter().any(|b| b" \t\n\"\\'".contains(b));
    let word = |word: &OsString| if plain(word) { word.display().to_string() } else { quoted(word).to_string() };
    let words: Vec<String> = options.command.iter().map(word).collect();
    lines.push(format!("run {} with the root {}", words.join(" "), root.given().display()));
    let text: String = lines.iter().map(|line| escaped(line) + "\n").collect();
    chain::output::print(&text, FAILURE)?;
    Ok(ExitCode::SUCCESS)
}

/// Its man page and completions.
pub fn pages() -> Vec<Page> {
    vec![Page {
        name: "rs-mountdev",
        original: None,
        command: TOOL.command(TABLE.command(&TOOL)),
        calls: CALLS,
        sections: include_str!("../man/rs-mountdev.roff"),
    }]
}

/// The calls it makes.
pub const CALLS: &[(&str, &str)] = &[
    ("umask", "sets the modes of what is made, and puts back the caller's mask"),
    ("open_tree", "copies the mount of what is bound"),
    ("mount_setattr", "gives a mount its flags"),
    ("move_mount", "puts a finished mount on a place, by descriptor"),
    ("fsopen", "begins a new file system"),
    ("fsconfig", "says its options and makes it"),
    ("fsmount", "makes a mount of it"),
    ("mkdirat", "makes a folder to mount on"),
    ("openat", "makes an empty file to bind over"),
    ("symlinkat", "makes a link in dev"),
    ("unlinkat", "removes a wrong dev/ptmx link"),
    ("mount", "changes propagation; does the mounting on kernels before 5.12"),
    ("fchdir", "moves between the roots for --pivot"),
    ("pivot_root", "makes the root the namespace's"),
    ("umount2", "lets go of the old root"),
    ("chdir", "starts at the new root"),
    ("close_range", "hands on no descriptors"),
    ("fcntl", "the same on kernels before 5.11"),
    ("setsid", "leaves the session for --new-session"),
    ("execve", "becomes COMMAND"),
];
