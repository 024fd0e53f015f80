//! Root file systems from images, archives and the host.
#![forbid(unsafe_code)]

pub mod credentials;
pub mod digest;
pub mod document;
mod helper;
pub mod platform;
pub mod reference;

/// The C library's words for `error`, without `(os error N)`.
pub(crate) fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}
