//! What `create` made: an image, a name, and nothing on disk but this record.

use super::{Store, read_json};
use crate::digest::Digest;
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::fs;
use std::os::fd::OwnedFd;

/// `containers/ID.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Container {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Without `/`.
    pub name: String,
    /// The image's ID: the digest of its configuration.
    pub image: Digest,
    /// The digest of its manifest.
    pub manifest: Digest,
    /// The image as it was named.
    pub image_name: String,
    /// Seconds since 1970.
    pub created: i64,
    /// Where the program would start; made in the export.
    pub working_dir: String,
    /// What would be started.
    pub command: Vec<String>,
}

/// Why a name leads to no container.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoContainer {
    /// None has it.
    #[error("No such container: {0}")]
    Unknown(String),
    /// Several begin with it.
    #[error("Multiple IDs found with provided prefix: {0}")]
    Several(String),
}

impl Store {
    /// Keeps other processes from making or removing containers as long as
    /// the answer lives.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn lock_containers(&self) -> anyhow::Result<OwnedFd> {
        Ok(self.lock_folder("containers")?)
    }

    /// Remembers `container`.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn put_container(&self, container: &Container) -> anyhow::Result<()> {
        let mut text = serde_json::to_vec(container)?;
        text.push(b'\n');
        Ok(self.put("containers", &format!("{}.json", container.id), &text, 0o600)?)
    }

    /// Whether there is a record of the container with the whole of this ID,
    /// whatever stands in it.
    pub fn has_record(&self, id: &str) -> bool {
        Digest::sha256(id).is_some() && self.path().join(format!("containers/{id}.json")).exists()
    }

    /// Forgets the container with this ID.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn remove_container(&self, id: &str) -> anyhow::Result<()> {
        self.remove(&format!("containers/{id}.json"))?;
        Ok(self.sync_folder("containers")?)
    }

    /// All of them, the newest first; a record that cannot be read is noted.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn containers(&self) -> anyhow::Result<Vec<Container>> {
        let folder = self.path().join("containers");
        let mut found: Vec<Container> = Vec::new();
        for entry in fs::read_dir(&folder).with_context(|| format!("cannot open {}", folder.display()))? {
            let path = entry?.path();
            if path.extension().is_none_or(|end| end != "json") {
                continue;
            }
            let own = |it: &Container| path.file_stem() == Some(it.id.as_ref()) && Digest::sha256(&it.id).is_some();
            match read_json::<Container>(&path).and_then(|it| it.filter(own).context("it is not of this container")) {
                Ok(container) => found.push(container),
                Err(_) if !path.exists() => {}
                Err(why) => self.note(path.file_stem().unwrap_or_default().display(), crate::told(&why)),
            }
        }
        found.sort_by(|a, b| (b.created, &a.id).cmp(&(a.created, &b.id)));
        Ok(found)
    }

    /// The container called `word`: its ID, its name (`/` before it or not),
    /// or the beginning of only one ID; a name goes before a beginning.
    ///
    /// # Errors
    /// None, or several; the store's own errors.
    pub fn container(&self, word: &str) -> anyhow::Result<Result<Container, NoContainer>> {
        let all = self.containers()?;
        let name = word.strip_prefix('/').unwrap_or(word);
        let exact = all.iter().find(|c| c.id == word).or_else(|| all.iter().find(|c| c.name == name));
        if let Some(found) = exact {
            return Ok(Ok(found.clone()));
        }
        let mut beginning = all.into_iter().filter(|c| !word.is_empty() && c.id.starts_with(word));
        Ok(match (beginning.next(), beginning.next()) {
            (Some(found), None) => Ok(found),
            (Some(_), Some(_)) => Err(NoContainer::Several(word.to_owned())),
            (None, _) => Err(NoContainer::Unknown(word.to_owned())),
        })
    }
}
