//! `create`: an image, fetched if it is not there, and a record.

use super::flags::Words;
use super::{Called, Ended, forms, image, name, operand, say, startup};
use crate::config;
use crate::digest::Digest;
use crate::image::{Contents, Options};
use crate::platform::Platform;
use crate::reference::{InvalidReference, Reference};
use crate::registry::{Blobs, Download, Pulled, pull};
use crate::store::{Container, Missing, Store, Stored};
use chain::sys::durable::write_all_at;
use chain::sys::file::{At, Fd, OpenAt, UnlinkAt};
use chain::sys::quietly;
use nix::errno::Errno;
use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

/// What is asked for.
struct Wanted<'a> {
    image: &'a str,
    platform: Option<Platform>,
    /// `always`, `missing` or `never`.
    pull: &'a str,
    quiet: bool,
}

/// Runs it.
pub(super) fn run(called: &Called, words: &Words) -> Result<(), Ended> {
    let text = |flag: &str| words.get(flag).map(|value| value.to_string_lossy().into_owned()).unwrap_or_default();
    let pull = text("pull");
    if !matches!(pull.as_str(), "" | "always" | "missing" | "never") {
        let why = format!("docker: invalid pull option: '{pull}': must be one of \"always\", \"missing\" or \"never\"");
        return Err(Ended::new(format!("{why}\n\n{}", super::hint(called, "Run")), 125));
    }
    forms::check(called, words)?;
    let wanted = Wanted {
        image: operand(&words.operands[0])?,
        platform: platform(&text("platform"))?,
        pull: if pull.is_empty() { "missing" } else { &pull },
        quiet: words.on("quiet"),
    };
    let reference = parse(wanted.image)?;
    // From here on there is something to clean up.
    chain::interrupt::catch();
    let id_file = IdFile::begin(&text("cidfile"))?;
    let working_dir = text("workdir");
    check_folder(&working_dir)?;
    let store = Arc::new(Store::open()?);
    let image = ready(&store, &wanted, reference)?;
    let command = command(words, &image)?;
    let working_dir = [working_dir.as_str(), &image.config.config.working_dir].into_iter().find(|it| !it.is_empty());
    let working_dir = working_dir.map(startup::clean).unwrap_or_default();
    let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or_default());
    // Whatever would make an export fail makes the creation fail.
    startup::apply(&mut image::merge(&store, &image, &image::files(&store, &image)?, now)?, &working_dir)?;
    let container = Container {
        id: name::id()?,
        name: text("name").strip_prefix('/').map_or_else(|| text("name"), str::to_owned),
        image: image.id().clone(),
        manifest: image.digest.clone(),
        image_name: wanted.image.to_owned(),
        created: now,
        working_dir,
        command,
    };
    let container = record(&store, container)?;
    tell(&id_file, &container.id).or_else(|ended| {
        // Nobody knows it: it would only be in the way.
        store.remove_container(&container.id)?;
        Err(ended)
    })?;
    id_file.keep();
    Ok(())
}

fn check_folder(path: &str) -> Result<(), Ended> {
    if path.is_empty() || path.starts_with('/') {
        return Ok(());
    }
    let why = format!("the working directory '{path}' is invalid, it needs to be an absolute path");
    Err(Ended::daemon(why))
}

/// The image, with all that an export of it needs in the store.
fn ready(store: &Arc<Store>, wanted: &Wanted<'_>, reference: Option<Reference>) -> Result<Stored, Ended> {
    let Found { image, contents, pulled } = find(store, wanted, reference)?;
    image::uncompress(store, &image, contents)?;
    if let Some((download, report)) = pulled {
        download.wait()?;
        if let Some(report) = report {
            say(&report);
        }
    }
    Ok(image)
}

/// Says the ID of the new container wherever it is wanted.
fn tell(id_file: &IdFile, id: &str) -> Result<(), Ended> {
    crate::interrupted()?;
    id_file.write(id)?;
    chain::output::print(&format!("{id}\n"), 1).map_err(|error| Ended::new(error.to_string(), 1))
}

/// What would be started; an image without anything to start needs one.
fn command(words: &Words, image: &Stored) -> Result<Vec<String>, Ended> {
    let start = &image.config.config;
    let entrypoint = match words.get("entrypoint") {
        Some(own) if own.is_empty() => Vec::new(),
        Some(own) => vec![own.to_string_lossy().into_owned()],
        None => start.entrypoint.clone(),
    };
    let own: Vec<String> = words.operands[1..].iter().map(|word| word.to_string_lossy().into_owned()).collect();
    // Another entry point makes the image's command meaningless.
    let command = if own.is_empty() && words.get("entrypoint").is_none() { start.cmd.clone() } else { own };
    let whole = [entrypoint, command].concat();
    if whole.is_empty() { Err(Ended::daemon("No command specified")) } else { Ok(whole) }
}

/// Gives `container` its name and remembers it.
fn record(store: &Store, mut container: Container) -> Result<Container, Ended> {
    let _lock = store.lock_containers()?;
    let there = store.containers()?;
    if container.name.is_empty() {
        container.name = name::random_name(|name| there.iter().any(|other| other.name == name))?;
    } else if !name::is_valid(&container.name) {
        return Err(Ended::daemon(format_args!(
            "Invalid container name ({}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
            container.name
        )));
    } else if let Some(other) = there.iter().find(|other| other.name == container.name) {
        return Err(Ended::daemon(format_args!(
            "Conflict. The container name \"/{}\" is already in use by container \"{}\". \
             You have to remove (or rename) that container to be able to reuse that name.",
            container.name, other.id
        )));
    }
    store.put_container(&container)?;
    Ok(container)
}

fn platform(text: &str) -> Result<Option<Platform>, Ended> {
    let default = if text.is_empty() { config::get("platform")? } else { None };
    let text = default.as_deref().unwrap_or(text);
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|why| Ended::new(format!("error parsing specified platform: {why}"), 1))
}

/// The image's name; `None` for one that can only be an ID.
fn parse(text: &str) -> Result<Option<Reference>, Ended> {
    match text.parse() {
        Ok(reference) => Ok(Some(reference)),
        Err(InvalidReference::Id(_)) => Ok(None),
        Err(InvalidReference::Digest(_)) => Err(Ended::new("invalid reference format", 1)),
        Err(why) => Err(Ended::new(why.to_string(), 1)),
    }
}

/// An image, and where its layers come from.
struct Found {
    image: Stored,
    contents: Box<dyn Contents>,
    /// It is being fetched, and this is said when all is there.
    pulled: Option<(Arc<Download>, Option<String>)>,
}

fn find(store: &Arc<Store>, wanted: &Wanted<'_>, reference: Option<Reference>) -> Result<Found, Ended> {
    let platform = wanted.platform.as_ref();
    let known = || -> Result<Option<Stored>, Ended> {
        if let Some(reference) = &reference {
            match store.image_by_reference(reference, platform) {
                Ok(Some(image)) => return Ok(Some(image)),
                Ok(None) => {}
                Err(why) if wanted.pull == "never" => return Err(why.into()),
                // What cannot be read is fetched again, and replaced.
                Err(_) => return Ok(None),
            }
        }
        match store.image_by_id(wanted.image)? {
            Ok(image) => Ok(Some(image).filter(|image| platform.is_none_or(|it| it.runs(&image.config.platform)))),
            Err(Missing::Several) => {
                Err(Ended::daemon(format_args!("multiple IDs found with provided prefix: {}", wanted.image)))
            }
            Err(Missing::Unknown) => Ok(None),
        }
    };
    let stored = if wanted.pull == "always" { None } else { known()? };
    if let Some(image) = stored {
        let contents = Blobs::new(Arc::clone(store), &image);
        if contents.are_there() {
            return Ok(Found { image, contents: Box::new(contents), pulled: None });
        }
    }
    let Some(reference) = reference else {
        return Err(Ended::daemon(format_args!("No such image: sha256:{}", wanted.image)));
    };
    match wanted.pull {
        "never" => return Err(Ended::daemon(format_args!("No such image: {}", reference.familiar()))),
        "missing" if !wanted.quiet => say(&format!("Unable to find image '{}' locally", reference.familiar())),
        _ => {}
    }
    fetch(store, wanted, &reference)
}

fn fetch(store: &Arc<Store>, wanted: &Wanted<'_>, reference: &Reference) -> Result<Found, Ended> {
    let options = Options {
        platform: wanted.platform.clone(),
        insecure: config::get("insecure")?.as_deref() == Some("true"),
        jobs: config::get("jobs")?.and_then(|jobs| jobs.parse().ok()),
        quiet: wanted.quiet,
        verify: false,
    };
    let before = store.get_ref(reference);
    if !wanted.quiet {
        say(&format!("{}: Pulling from {}", reference.wanted(), reference.path()));
    }
    let Pulled { image, digest, download } = pull(store, reference, &options)?;
    let report = (!wanted.quiet).then(|| status(&digest, before.as_ref(), reference));
    Ok(Found { image, contents: Box::new(Arc::clone(&download)), pulled: Some((download, report)) })
}

fn status(digest: &Digest, before: Option<&Digest>, reference: &Reference) -> String {
    let what = if before == Some(digest) { "Image is up to date" } else { "Downloaded newer image" };
    format!("Digest: {digest}\nStatus: {what} for {}", reference.familiar())
}

/// `--cidfile`: made before anything else, gone again unless all went well.
struct IdFile {
    file: Option<(PathBuf, OwnedFd)>,
}

impl IdFile {
    fn begin(name: &str) -> Result<Self, Ended> {
        if name.is_empty() {
            return Ok(Self { file: None });
        }
        let why = "Scripts read the container's ID there";
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL;
        let call = OpenAt { dir: At::Cwd, path: OsStr::new(name), flags, mode: 0o644, why };
        match quietly(&call) {
            Ok(fd) => Ok(Self { file: Some((name.into(), fd)) }),
            Err(Errno::EEXIST) => Err(Ended::new(
                format!("container ID file found, make sure the other container isn't running or delete {name}"),
                1,
            )),
            Err(errno) => {
                let reason = chain::error::strerror(errno).to_lowercase();
                Err(Ended::new(format!("failed to create the container ID file: open {name}: {reason}"), 1))
            }
        }
    }

    fn write(&self, id: &str) -> Result<(), Ended> {
        if let Some((path, fd)) = &self.file {
            write_all_at(Fd { fd: fd.as_fd(), path }, id.as_bytes(), 0)?;
        }
        Ok(())
    }

    fn keep(mut self) {
        self.file = None;
    }
}

impl Drop for IdFile {
    fn drop(&mut self) {
        if let Some((path, _)) = &self.file {
            let why = "There is no container: its ID file goes too";
            let _ = quietly(&UnlinkAt { dir: At::Cwd, path: path.as_os_str(), flags: 0, why });
        }
    }
}
