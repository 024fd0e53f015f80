//! Build script of every tool: links it statically where the C library can be.
//!
//! exec of a static program costs half of a dynamic one, and a static tool
//! runs inside a new root that has no libraries. Rust's own switch
//! (`-C target-feature=+crt-static`) cannot be set for a plain `cargo build`
//! with a GNU target: it would reach the procedural macros too, which are
//! shared objects. So the linker is shown the C library's archives under the
//! names that rustc asks for. Without archives (Fedora without glibc-static)
//! the tools are linked dynamically; musl targets are static by themselves.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "cargo reads what this prints")]

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What rustc links a GNU program with, and the archive that serves instead.
const LIBRARIES: [(&str, &str); 7] =
    [("c", "c"), ("dl", "dl"), ("gcc_s", "gcc_eh"), ("m", "m"), ("pthread", "pthread"), ("rt", "rt"), ("util", "util")];

fn main() {
    println!("cargo::rerun-if-changed=../link-static.rs");
    println!("cargo::rerun-if-env-changed=RS_DYNAMIC");
    let is = |key, value: &str| env::var(key).is_ok_and(|v| v == value);
    let native = env::var("HOST").ok() == env::var("TARGET").ok();
    if !native || !is("CARGO_CFG_TARGET_ENV", "gnu") || env::var_os("RS_DYNAMIC").is_some() {
        return;
    }
    let folder = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    if LIBRARIES.iter().all(|(name, archive)| offer(&folder, name, archive).is_some()) {
        println!("cargo::rustc-link-arg-bins=-L{}", folder.display());
        for word in kind() {
            println!("cargo::rustc-link-arg-bins={word}");
        }
    }
}

/// How the linker is asked for a static program. rs-cgexec has a fixed address:
/// nothing is left to relocate at its start, which is a tenth less to do, and
/// an emulator, which translates code anew for every new address, takes half
/// the time. What reads files of strangers, and the rest, stays where the
/// kernel's dice put it.
fn kind() -> &'static [&'static str] {
    match env::var("CARGO_PKG_NAME").as_deref() {
        Ok("rs-cgexec") => &["-static", "-no-pie"],
        _ => &["-static-pie"],
    }
}

/// Makes `libNAME.so` in `folder` lead to `libARCHIVE.a` of the compiler.
fn offer(folder: &Path, name: &str, archive: &str) -> Option<()> {
    let cc = env::var_os("CC").unwrap_or_else(|| "cc".into());
    let answer = Command::new(cc).arg(format!("-print-file-name=lib{archive}.a")).output().ok()?;
    let found = PathBuf::from(String::from_utf8(answer.stdout).ok()?.trim_end());
    // A compiler that has no such file answers with the bare name.
    if !found.is_absolute() {
        return None;
    }
    let link = folder.join(format!("lib{name}.so"));
    let _ = fs::remove_file(&link);
    symlink(found, link).ok()
}
