//! The host's own attributes.

use super::Call;
use crate::notation::quoted;
use std::ffi::OsStr;
use std::fmt;

/// sethostname(2): names the host of the caller's UTS namespace.
pub struct SetHostName<'a>(pub &'a OsStr);

impl fmt::Display for SetHostName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sethostname({}, {}", quoted(self.0), self.0.len())
    }
}

impl Call for SetHostName<'_> {
    type Out = ();
    const NAME: &'static str = "sethostname";
    fn why(&self) -> String {
        "the host name belongs to the UTS namespace: in a new one nobody outside sees the change".to_owned()
    }
    fn cannot(&self) -> String {
        format!("cannot set the host name to {}", self.0.display())
    }
    fn enter(&self) -> nix::Result<()> {
        nix::unistd::sethostname(self.0)
    }
}
