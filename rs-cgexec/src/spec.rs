//! `controllers:path`, the way groups are named on command lines.

use crate::status::Error;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

/// Controllers, and a group in each of their hierarchies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// As listed; none at all means the v2 group alone, `*` all of them.
    pub controllers: Vec<String>,
    /// The group, as typed.
    pub group: OsString,
}

impl Spec {
    /// Reads `controllers:path`. What follows a second colon is dropped.
    ///
    /// # Errors
    /// No colon, nothing after it, or a list of nothing but commas.
    pub fn parse(text: &OsStr) -> Result<Self, Error> {
        let wrong = || Error::Usage(format!("wrong group '{}': want CONTROLLERS:PATH", text.display()));
        let mut parts = text.as_bytes().split(|b| *b == b':');
        let list = parts.next().unwrap_or_default();
        let group = parts.next().filter(|group| !group.is_empty()).ok_or_else(wrong)?;
        let names = list.split(|b| *b == b',').filter(|name| !name.is_empty());
        let controllers: Vec<String> = names.map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        if controllers.is_empty() && !list.is_empty() {
            return Err(wrong());
        }
        let group = OsString::from_vec(group.to_vec());
        relative(&group)?;
        Ok(Self { controllers, group })
    }

    /// Whether it names all controllers.
    pub fn is_all(&self) -> bool {
        self.controllers.iter().any(|name| name == "*")
    }
}

/// Reads each of `texts`.
///
/// # Errors
/// The first that is wrong.
pub fn parse_all<'a>(texts: impl IntoIterator<Item = &'a OsString>) -> Result<Vec<Spec>, Error> {
    texts.into_iter().map(|text| Spec::parse(text)).collect()
}

/// The path of a group below the mount point: `/a/`, `a` and `./a` are the
/// same, `/` and `.` are the top group (empty).
///
/// # Errors
/// A `..` in it.
pub fn relative(group: &OsStr) -> Result<PathBuf, Error> {
    let mut path = PathBuf::new();
    for part in Path::new(group).components() {
        match part {
            Component::Normal(name) => path.push(name),
            Component::ParentDir => {
                return Err(Error::Usage(format!("'..' in the group's name '{}'", group.display())));
            }
            _ => {}
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> Option<(Vec<String>, String)> {
        let spec = Spec::parse(OsStr::new(text)).ok()?;
        Some((spec.controllers, spec.group.into_string().expect("UTF-8")))
    }

    #[test]
    fn forms() {
        assert_eq!(spec("cpu,,memory,:a/b"), Some((vec!["cpu".into(), "memory".into()], "a/b".into())));
        assert_eq!(spec("cpu:a:junk"), Some((vec!["cpu".into()], "a".into())));
        assert_eq!(spec(":a"), Some((vec![], "a".into())));
        for wrong in ["cpu", "cpu:", "", ",:a", "cpu:../a", "cpu:a/../b"] {
            assert_eq!(spec(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_same_group() {
        for name in ["a b", "/a b", "a b/", "/a b/", "./a b"] {
            assert_eq!(relative(OsStr::new(name)).expect("a path"), Path::new("a b"));
        }
        for top in ["/", "."] {
            assert_eq!(relative(OsStr::new(top)).expect("a path"), Path::new(""));
        }
    }
}
