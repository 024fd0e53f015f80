//! What was not kept, counted: one line at the end instead of one each.

use std::fmt;

/// What entries asked for and did not get.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Notes {
    /// Files that are this user's instead.
    pub owners: u64,
    /// Device nodes that are empty files instead.
    pub devices: u64,
    /// `security.capability` attributes.
    pub capabilities: u64,
    /// Set-user-ID and set-group-ID bits.
    pub setuid: u64,
    /// Other attributes.
    pub attributes: u64,
}

impl Notes {
    /// Whether everything was kept.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Notes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            (self.owners, "owner", "owners"),
            (self.devices, "device node", "device nodes"),
            (self.capabilities, "capability", "capabilities"),
            (self.setuid, "set-user-ID bit", "set-user-ID bits"),
            (self.attributes, "attribute", "attributes"),
        ];
        let mut first = true;
        for (count, one, many) in counts.into_iter().filter(|(count, ..)| *count > 0) {
            let word = if count == 1 { one } else { many };
            write!(f, "{}{count} {word}", if first { "" } else { ", " })?;
            first = false;
        }
        f.write_str(" not kept")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line() {
        let notes = Notes { owners: 3, devices: 2, capabilities: 1, ..Notes::default() };
        assert_eq!(notes.to_string(), "3 owners, 2 device nodes, 1 capability not kept");
        assert!(Notes::default().is_empty());
    }
}
