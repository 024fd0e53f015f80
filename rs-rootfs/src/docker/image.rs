//! An image's layers as an export needs them: uncompressed, in the store.

use super::tree::Tree;
use crate::image::{Contents, Layer};
use crate::store::{Store, Stored};
use crate::stream::Input;
use crate::tar::{Entry, Reader};
use anyhow::{Context, Result};
use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::sync::Arc;

/// Opens some of the layers of an image.
struct Some {
    all: Box<dyn Contents>,
    wanted: Vec<usize>,
}

impl Contents for Some {
    fn open(&mut self, index: usize) -> Result<Box<dyn Read + Send>> {
        self.all.open(*self.wanted.get(index).context("no such layer")?)
    }
}

/// Puts into the store what it does not have yet of the uncompressed layers
/// of `image`, while they come from `contents`. Each is checked against its
/// diff id before it gets its name.
///
/// # Errors
/// A layer that is not what it should be.
pub(crate) fn uncompress(store: &Store, image: &Stored, contents: Box<dyn Contents>) -> Result<()> {
    let diff_ids = &image.config.rootfs.diff_ids;
    let mut seen = HashSet::new();
    let wanted: Vec<usize> =
        (0..diff_ids.len()).filter(|i| seen.insert(&diff_ids[*i]) && store.layer(&diff_ids[*i]).is_none()).collect();
    let layers = wanted.iter().map(|i| Layer { blob: None, diff_id: Some(diff_ids[*i].clone()) }).collect();
    let mut input = Input::start(layers, Box::new(Some { all: contents, wanted: wanted.clone() }), true)?;
    for i in wanted {
        let one = || -> Result<()> {
            let mut file = store.begin("layers")?;
            loop {
                let chunk = input.chunk(u64::MAX)?;
                if chunk.is_empty() {
                    break;
                }
                file.write(chunk)?;
            }
            input.finish_layer()?;
            Ok(file.finish_layer(&diff_ids[i])?)
        };
        one_of(store, image, i, one)?;
    }
    Ok(())
}

/// Does `what` with a layer. Where that fails because the store has lost
/// bytes of it, what is damaged is removed and named: the next `create` makes
/// it anew.
fn one_of(store: &Store, image: &Stored, layer: usize, what: impl FnOnce() -> Result<()>) -> Result<()> {
    let blame = |error: anyhow::Error| {
        let (blob, diff_id) = (&image.manifest.layers[layer].digest, &image.config.rootfs.diff_ids[layer]);
        let asked_to_stop = crate::interrupted().is_err();
        if !asked_to_stop && matches!(store.verify_blob(blob), Ok(true)) {
            error.context(format!("blob {blob} was damaged in the store, and is removed"))
        } else if !asked_to_stop && matches!(store.verify_layer(diff_id), Ok(true)) {
            error.context(format!("the uncompressed layer {diff_id} was damaged in the store, and is removed"))
        } else {
            error
        }
    };
    what().map_err(blame).with_context(|| format!("layer {}", layer + 1))
}

/// The uncompressed layers of `image`.
///
/// # Errors
/// One is not there any more, or cannot be opened.
pub(crate) fn files(store: &Store, image: &Stored) -> Result<Vec<Arc<File>>> {
    let open = |diff_id| File::open(store.layer_path(diff_id)).with_context(|| format!("layer {diff_id}"));
    image.config.rootfs.diff_ids.iter().map(|diff_id| open(diff_id).map(Arc::new)).collect()
}

/// The files, whole. A layer has one descriptor for all who read it: there
/// are images of hundreds.
struct Whole(Vec<Arc<File>>);

impl Contents for Whole {
    fn open(&mut self, index: usize) -> Result<Box<dyn Read + Send>> {
        Ok(Box::new(Arc::clone(self.0.get(index).context("no such layer")?)))
    }
}

/// Merges the layers in memory.
///
/// # Errors
/// A layer breaks a rule of archives or of names.
pub(crate) fn merge(store: &Store, image: &Stored, files: &[Arc<File>], now: i64) -> Result<Tree> {
    let mut tree = Tree::new(now);
    let layers = files.iter().map(|_| Layer::default()).collect();
    let mut input = Input::start(layers, Box::new(Whole(files.to_vec())), true)?;
    let mut entry = Entry::default();
    for number in 0..files.len() {
        tree.begin_layer(number);
        let mut reader = Reader::new(&mut input);
        one_of(store, image, number, || {
            while reader.next(&mut entry)? {
                let name = || format!("entry {}", entry.path.escape_ascii());
                tree.apply(&entry, reader.position()).with_context(name)?;
            }
            Ok(())
        })?;
        input.finish_layer()?;
    }
    tree.begin_layer(files.len());
    Ok(tree)
}
