//! libcgroup's tools and uuidgen, on cgroup v1, hybrid and v2 hosts alike.
//!
//! One program for each command: `src/bin`. What they share: what is mounted
//! ([`hierarchy`]), how groups are named ([`spec`]), what is done to them
//! ([`group`], [`value`]), and how v1 and v2 say the same ([`convert`]).
#![forbid(unsafe_code)]

pub mod cli;
pub mod convert;
pub mod dbus;
pub mod group;
pub mod hierarchy;
pub mod list;
pub mod spec;
pub mod status;
pub mod systemd;
pub mod value;

pub use cli::pages;
