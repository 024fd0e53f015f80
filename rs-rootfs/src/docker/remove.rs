//! `rm`: forgets containers.

use super::flags::Words;
use super::{Called, Ended, operand, say};
use crate::reference::Reference;
use crate::store::{Container, Store};

/// Runs it.
pub(super) fn run(called: &Called, words: &Words) -> Result<(), Ended> {
    let store = Store::open()?;
    let own = !called.container && chain::name() != "docker";
    let mut failed = false;
    for word in &words.operands {
        match operand(word).and_then(|word| one(&store, word, words, own)) {
            Ok(done) => {
                chain::output::print(&format!("{done}\n"), 1).map_err(|error| Ended::new(error.to_string(), 1))?;
            }
            Err(ended) => {
                say(&ended.text);
                failed |= ended.status != 0;
            }
        }
    }
    for line in store.damage() {
        say(&chain::error::escaped(&line));
    }
    if failed { Err(Ended::new("", 1)) } else { Ok(()) }
}

/// Removes what `word` names; gives what is to be printed.
fn one(store: &Store, word: &str, words: &Words, own: bool) -> Result<String, Ended> {
    if word.trim_matches('/').is_empty() {
        return Err(Ended::new("container name cannot be empty", 1));
    }
    let _lock = store.lock_containers()?;
    match store.container(word)? {
        Ok(_) if words.on("link") => {
            Err(Ended::daemon("Conflict, cannot remove the default link name of the container"))
        }
        Ok(container) => {
            store.remove_container(&container.id)?;
            Ok(word.to_owned())
        }
        // One that cannot be read can still be forgotten.
        Err(_) if store.has_record(word) => {
            store.remove_container(word)?;
            Ok(word.to_owned())
        }
        Err(_) if own && is_image(store, word) => remove_image(store, word, words.on("force")),
        Err(why @ crate::store::NoContainer::Unknown(_)) if words.on("force") => {
            Err(Ended { status: 0, ..Ended::daemon(why) })
        }
        Err(why) => Err(Ended::daemon(why)),
    }
}

fn is_image(store: &Store, word: &str) -> bool {
    let known = |reference: &Reference| store.get_ref(reference).is_some() || store.is_damaged_ref(reference);
    word.parse().is_ok_and(|reference| known(&reference))
}

/// Forgets a reference; the image behind it goes with `gc`.
fn remove_image(store: &Store, word: &str, force: bool) -> Result<String, Ended> {
    let reference: Reference = word.parse().map_err(|why| Ended::new(format!("{why}"), 1))?;
    let digest = store.get_ref(&reference);
    let images = digest.as_ref().map(|digest| store.images_below(word, digest)).unwrap_or_default();
    // A manifest that cannot be read is still known by its digest.
    let needs =
        |it: &Container| Some(&it.manifest) == digest.as_ref() || images.iter().any(|one| *one.id() == it.image);
    let user = store.containers()?.into_iter().find(needs);
    if let Some(user) = user.filter(|_| !force) {
        return Err(Ended::daemon(format_args!(
            "conflict: unable to remove repository reference \"{word}\" (must force) - \
             container {} is using its referenced image {}",
            &user.id[..12],
            user.image.short()
        )));
    }
    store.remove_ref(&reference)?;
    Ok(format!("Untagged: {}", reference.familiar()))
}
