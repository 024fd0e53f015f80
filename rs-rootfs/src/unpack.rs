//! `rs-rootfs unpack`: a source becomes a folder, whole or not at all.

use crate::apply::{Notes, Privilege, Rules, Unpacker};
use crate::error::Error;
use crate::host;
use crate::image::{Image, Options};
use crate::platform::Platform;
use crate::source::{self, Source};
use crate::stream::Input;
use crate::tar::Reader;
use crate::target::Target;
use anyhow::{Context, anyhow, bail};
use chain::child::{End, end_like};
use chain::error::strerror;
use clap::{Parser, ValueHint};
use serde_json::json;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::ExitCode;

/// Unpack an image, an archive or a part of this host into a folder
#[derive(Debug, Parser)]
#[command(after_help = "\
SOURCE is one of
  host:[PROGRAM,...]           programs of this host with their libraries
  docker://NAME[:TAG]          an image in a registry
  docker-daemon:NAME           an image of the Docker daemon
  docker-archive:FILE[:NAME]   what docker save wrote
  oci:DIR[:TAG]  oci-archive:FILE[:TAG]   an OCI layout
  FILE  -                      a tar archive, also compressed

Example: rs-rootfs unpack host: rootfs")]
pub struct Unpack {
    /// take the image for this platform: linux/arm64
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Platform>,
    /// allow plain http and bad certificates
    #[arg(long)]
    insecure: bool,
    /// keep links that lead to folders
    #[arg(long)]
    keep_dirlinks: bool,
    /// unpack over what is in DIR
    #[arg(long)]
    force: bool,
    /// keep owners by means of subordinate ids
    #[arg(long)]
    userns: bool,
    /// fail where something cannot be kept
    #[arg(long)]
    strict: bool,
    /// hash what the store holds again
    #[arg(long)]
    verify: bool,
    /// write at most so many bytes: 500M, 2G
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    max_size: Option<u64>,
    /// fetch so many layers at once
    #[arg(long, value_name = "NUMBER", value_parser = jobs)]
    jobs: Option<usize>,
    /// say nothing but errors
    #[arg(short, long)]
    quiet: bool,
    /// print what was unpacked as a line of JSON
    #[arg(long)]
    json: bool,
    /// where from
    #[arg(value_name = "SOURCE")]
    source: OsString,
    /// where to: made if missing, else an empty folder
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    dir: PathBuf,
}

fn bytes(text: &str) -> Result<u64, String> {
    crate::config::bytes(text).ok_or_else(|| format!("invalid number of bytes '{text}'"))
}

fn jobs(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(jobs @ 1..=64) => Ok(jobs),
        _ => Err(format!("invalid number '{text}': 1 to 64")),
    }
}

/// A source that can be unpacked.
pub(crate) struct Opened {
    source: Source,
    image: Option<Image>,
    privilege: Privilege,
}

/// What was done.
#[derive(Default)]
pub(crate) struct Done {
    /// The image's configuration; a tar and `host:` have none.
    pub(crate) config: Option<crate::document::Config>,
    id: Option<String>,
    layers: usize,
    bytes: u64,
    notes: Notes,
}

/// Runs the verb.
///
/// # Errors
/// It could not be unpacked; nothing is left of it.
pub fn run(unpack: &Unpack) -> Result<ExitCode, Error> {
    match unpack.open().and_then(|opened| unpack.unpack(opened)) {
        Ok(done) => {
            unpack.tell(&done);
            Ok(ExitCode::SUCCESS)
        }
        // A call that a signal cut short may have failed in words of its own.
        Err(error) => ended(error, &unpack.source),
    }
}

/// How a verb ends that could not unpack `source`.
pub(crate) fn ended(error: anyhow::Error, source: &OsStr) -> Result<ExitCode, Error> {
    match chain::interrupt::caught() {
        Some(signal) => Ok(end_like(End::Killed(signal)).into()),
        None => Err(error.context(crate::apply::shown(source.as_encoded_bytes())).into()),
    }
}

impl Unpack {
    fn options(&self) -> anyhow::Result<Options> {
        let configured = |key| crate::config::get(key);
        let platform = match (&self.platform, configured("platform")?) {
            (Some(platform), _) => Some(platform.clone()),
            (None, Some(text)) => Some(text.parse()?),
            (None, None) => None,
        };
        let insecure = self.insecure || configured("insecure")?.as_deref() == Some("true");
        let jobs = self.jobs.or(configured("jobs")?.and_then(|jobs| jobs.parse().ok()));
        Ok(Options { platform, insecure, verify: self.verify, quiet: self.quiet, jobs })
    }

    /// `source` to `dir`, with nothing else asked for.
    pub(crate) fn plain(source: OsString, dir: PathBuf, options: Options) -> Self {
        Self {
            platform: options.platform,
            insecure: options.insecure,
            keep_dirlinks: false,
            force: false,
            userns: false,
            strict: false,
            verify: options.verify,
            max_size: None,
            jobs: options.jobs,
            quiet: options.quiet,
            json: false,
            source,
            dir,
        }
    }

    /// Opens the source, which may take its time: a signal ends the program,
    /// as nothing was made yet.
    ///
    /// # Errors
    /// It is not there, or is no image.
    pub(crate) fn open(&self) -> anyhow::Result<Opened> {
        let options = self.options()?;
        if self.userns {
            crate::userns::enter()?;
        }
        let privilege = Privilege::of_this_process()?;
        let source = Source::from_word(&self.source);
        let image = match source {
            Source::Host(_) => None,
            _ => Some(source::open(&source, &options)?),
        };
        Ok(Opened { source, image, privilege })
    }

    /// Does it.
    ///
    /// # Errors
    /// It could not be unpacked; nothing is left of it.
    pub(crate) fn unpack(&self, opened: Opened) -> anyhow::Result<Done> {
        let Opened { source, image, privilege } = opened;
        // From here on there is something to clean up.
        chain::interrupt::catch();
        let mut target = Target::prepare(&self.dir, self.force)?;
        let rules = Rules {
            whiteouts: image.as_ref().is_some_and(|image| image.whiteouts),
            keep_dirlinks: self.keep_dirlinks,
            over: target.is_over(),
            max_size: match self.max_size {
                Some(most) => Some(most),
                None => crate::config::get("max-size")?.as_deref().and_then(crate::config::bytes),
            },
        };
        let mut unpacker = Unpacker::new(target.root()?, target.path(), privilege.clone(), rules)?;
        let made = match (image, &source) {
            (Some(image), _) => self.layers(image, &mut unpacker),
            (None, Source::Host(list)) => host::unpack(list, &mut unpacker, &privilege).map(|()| Done::default()),
            (None, _) => Ok(Done::default()),
        };
        let done = made.and_then(|done| self.finish(done, &mut unpacker, &mut target, &privilege));
        match done {
            Ok(_) => target.keep(),
            // The first cause is what is told.
            Err(_) => drop(unpacker.undo()),
        }
        done
    }

    /// Everything is there: what is left to do is done, and told.
    fn finish(
        &self,
        done: Done,
        unpacker: &mut Unpacker,
        target: &mut Target,
        privilege: &Privilege,
    ) -> anyhow::Result<Done> {
        if let Some((mode, ours)) = target.mode() {
            let owner = privilege.owner(0, 0).ok().flatten();
            unpacker.describe_root(mode, owner.filter(|_| ours));
        }
        unpacker.finish()?;
        if self.strict && !unpacker.notes().is_empty() {
            bail!("{}", unpacker.notes());
        }
        target.rename()?;
        let done = Done { notes: *unpacker.notes(), bytes: unpacker.written(), ..done };
        if self.json {
            let line = json!({ "id": done.id, "layers": done.layers, "bytes": done.bytes });
            chain::output::write_stdout(format!("{line}\n").as_bytes())
                .map_err(|errno| anyhow!("cannot write to standard output: {}", strerror(errno)))?;
        }
        Ok(done)
    }

    fn layers(&self, image: Image, unpacker: &mut Unpacker) -> anyhow::Result<Done> {
        let layers = image.layers.len();
        let config = image.config;
        let id = image.id.as_ref().map(ToString::to_string);
        let mut input = Input::start(image.layers, image.contents, self.quiet)?;
        for number in 1..=layers {
            let layer = unpacker.layer(&mut Reader::new(&mut input)).and_then(|()| input.finish_layer());
            layer.with_context(|| format!("layer {number}"))?;
        }
        Ok(Done { config, id, layers, bytes: 0, notes: Notes::default() })
    }

    /// What was not kept, in one line.
    pub(crate) fn tell(&self, done: &Done) {
        if !done.notes.is_empty() && !self.quiet {
            chain::say(&done.notes.to_string());
        }
    }
}
