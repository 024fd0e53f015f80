//! `inspect`: all that is known of images and containers.

use super::print_json;
use crate::Error;
use crate::document::{self, CONFIG_MAX};
use crate::reference::Reference;
use crate::store::{Store, Stored};
use anyhow::{Result, bail};
use clap::Parser;
use serde_json::{Map, Value, json};
use std::ffi::OsString;
use std::process::ExitCode;

/// Show all that is known of images and containers, as JSON
#[derive(Debug, Parser)]
#[command(after_help = "Example: rs-rootfs inspect $CID")]
pub struct Inspect {
    /// containers and images, by name or ID
    #[arg(required = true)]
    names: Vec<OsString>,
}

/// Runs it.
pub(super) fn run(cli: &Inspect) -> Result<ExitCode, Error> {
    let store = Store::open()?;
    let mut found = Vec::new();
    let mut failed = false;
    for name in &cli.names {
        match one(&store, &name.to_string_lossy()) {
            Ok(value) => found.push(value),
            Err(error) => {
                let why = crate::told(&error);
                chain::say(&chain::error::escaped(&format!("cannot inspect {}: {why}", name.display())));
                failed = true;
            }
        }
    }
    print_json(&found, true)?;
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// A container goes before an image.
fn one(store: &Store, name: &str) -> Result<Value> {
    if let Ok(container) = store.container(name)? {
        return Ok(serde_json::to_value(container)?);
    }
    if let Ok(reference) = name.parse::<Reference>()
        && let Some(digest) = store.get_ref(&reference)
    {
        let host = store.image(&digest, None)?;
        let any = || store.images_below(name, &digest).into_iter().next();
        if let Some(image) = host.or_else(any) {
            return image_json(store, &image);
        }
    }
    match store.image_by_id(name)? {
        Ok(image) => image_json(store, &image),
        Err(crate::store::Missing::Several) => bail!("several images begin with that ID"),
        Err(crate::store::Missing::Unknown) => bail!("no such container or image"),
    }
}

fn image_json(store: &Store, image: &Stored) -> Result<Value> {
    let mut tags = Vec::new();
    let mut digests = Vec::new();
    for tagged in store.refs() {
        if !store.images_below(&tagged.name(), &tagged.digest).iter().any(|other| other.id() == image.id()) {
            continue;
        }
        let name = tagged.reference.familiar_name();
        if let Some(tag) = tagged.reference.tag_or_latest() {
            tags.push(format!("{name}:{tag}"));
        }
        digests.push(format!("{name}@{}", tagged.digest));
    }
    digests.dedup();
    let bytes = store.small_blob(image.id(), CONFIG_MAX)?.unwrap_or_default();
    let raw: Map<String, Value> = document::json(&bytes)?;
    Ok(json!({
        "Id": image.id(),
        "RepoTags": tags,
        "RepoDigests": digests,
        "Created": image.config.created,
        "Os": image.config.platform.os,
        "Architecture": image.config.platform.architecture,
        "Variant": image.config.platform.variant,
        "Size": image.size(),
        "Config": raw.get("config"),
        "RootFS": { "Type": "layers", "Layers": image.config.rootfs.diff_ids },
    }))
}
