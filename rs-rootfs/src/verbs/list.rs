//! `list`: what is in the store.

use super::{age, damage, print, print_json};
use crate::Error;
use crate::digest::Digest;
use crate::progress::size;
use crate::store::{Store, Stored, Tagged};
use clap::Parser;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::process::ExitCode;

/// List the images, or the containers, in the store
#[derive(Debug, Parser)]
#[command(after_help = "Example: rs-rootfs list --digests")]
pub struct List {
    /// list containers instead of images
    #[arg(long)]
    containers: bool,
    /// show what each name led to
    #[arg(long)]
    digests: bool,
    /// print one JSON array
    #[arg(long)]
    json: bool,
    /// print IDs only
    #[arg(short, long)]
    quiet: bool,
}

/// Runs it.
pub(super) fn run(cli: &List) -> Result<ExitCode, Error> {
    let store = Store::open()?;
    if cli.containers { containers(&store, cli) } else { images(&store, cli) }?;
    Ok(damage(&store, "pull it again, or remove it with rm"))
}

/// Each name with each image it leads to.
fn named(store: &Store) -> Vec<(Tagged, Stored)> {
    let mut found = Vec::new();
    for tagged in store.refs() {
        for image in store.images_below(&tagged.name(), &tagged.digest) {
            found.push((tagged.clone(), image));
        }
    }
    found
}

fn images(store: &Store, cli: &List) -> Result<ExitCode, Error> {
    let found = named(store);
    if cli.json {
        return print_json(&found.iter().map(image_json).collect::<Vec<_>>(), false);
    }
    if cli.quiet {
        // Once, where its first name stands.
        let mut seen = HashSet::new();
        let ids = found.iter().map(|(_, image)| image.id()).filter(|id| seen.insert(*id));
        return print(&lines(ids.map(Digest::short)));
    }
    let digest = cli.digests.then_some("DIGEST");
    let mut rows = vec![row(["REPOSITORY", "TAG"], digest, ["IMAGE-ID", "CREATED", "SIZE"])];
    for (tagged, image) in &found {
        let name = tagged.reference.familiar_name();
        let tag = tagged.reference.tag_or_latest().unwrap_or("<none>");
        let created = age::seconds(&image.config.created).map_or_else(|| "N/A".to_owned(), age::ago);
        let digest = cli.digests.then(|| tagged.digest.to_string());
        rows.push(row([&name, tag], digest.as_deref(), [image.id().short(), &created, &size(image.size())]));
    }
    print(&table(&rows))
}

fn image_json((tagged, image): &(Tagged, Stored)) -> Value {
    json!({
        "Repository": tagged.reference.familiar_name(),
        "Tag": tagged.reference.tag_or_latest(),
        "Digest": tagged.digest,
        "Id": image.id(),
        "Platform": image.config.platform.to_string(),
        "Created": image.config.created,
        "Size": image.size(),
    })
}

fn containers(store: &Store, cli: &List) -> Result<ExitCode, Error> {
    let found = store.containers()?;
    if cli.json {
        return print_json(&found, false);
    }
    if cli.quiet {
        return print(&lines(found.iter().map(|it| &it.id[..12])));
    }
    let mut rows = vec![row(["ID", "IMAGE"], None, ["NAME", "CREATED", ""])];
    rows[0].pop();
    for it in &found {
        rows.push(vec![it.id[..12].to_owned(), it.image_name.clone(), it.name.clone(), age::ago(it.created)]);
    }
    print(&table(&rows))
}

fn row(first: [&str; 2], digest: Option<&str>, last: [&str; 3]) -> Vec<String> {
    first.into_iter().chain(digest).chain(last).map(str::to_owned).collect()
}

fn lines<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.flat_map(|word| [word, "\n"]).collect()
}

/// Columns as wide as their widest cell, three blanks between them.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let wide = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell: &String| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(wide).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{:<width$}", chain::error::escaped(cell)));
        text.push_str(cells.collect::<Vec<_>>().join("   ").trim_end());
        text.push('\n');
    }
    text
}
