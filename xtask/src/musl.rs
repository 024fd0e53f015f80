//! Builds the tools for musl, statically, the way they are shipped.
//!
//! Rust's own target (`rustup target add x86_64-unknown-linux-musl`) is taken
//! where it is installed. Else the standard library is built too, from the
//! sources that come with a compiler: Debian's `rustc-web` and `rust-web-src`
//! have them, with `musl-tools`.

use crate::{target, top};
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where a way to build for musl comes from.
enum Way {
    /// The standard library is there.
    Installed,
    /// It is built with this compiler, whose sources are there.
    Sources(PathBuf),
}

/// The target's triple, of the machine's own kind.
pub(crate) fn triple() -> String {
    format!("{}-unknown-linux-musl", std::env::consts::ARCH)
}

fn answer(compiler: &Path, question: &[&str]) -> Option<String> {
    let output = Command::new(compiler).args(question).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn way() -> Option<Way> {
    let own = PathBuf::from("rustc");
    let library = answer(&own, &["--print", "target-libdir", "--target", &triple()])?;
    if Path::new(&library).is_dir() {
        return Some(Way::Installed);
    }
    [own, PathBuf::from("/usr/bin/rustc")].into_iter().find_map(|compiler| {
        let sysroot = answer(&compiler, &["--print", "sysroot"])?;
        let sources = Path::new(&sysroot).join("lib/rustlib/src/rust/library/Cargo.lock");
        (sources.is_file() && recent(&compiler)).then_some(Way::Sources(compiler))
    })
}

/// Whether `compiler` is as new as the workspace asks.
fn recent(compiler: &Path) -> bool {
    let number = |text: &str| {
        let mut parts = text.split(['.', '-', ' ']).map(|part| part.parse::<u32>().unwrap_or_default());
        (parts.next(), parts.next())
    };
    answer(compiler, &["--version"])
        .and_then(|text| Some(number(text.strip_prefix("rustc ")?) >= number(env!("CARGO_PKG_RUST_VERSION"))))
        .unwrap_or_default()
}

/// Builds every tool and gives the folder they are in; none where neither way
/// is open.
pub(crate) fn build() -> Result<Option<PathBuf>> {
    let Some(way) = way() else { return Ok(None) };
    let folder = target().join("musl");
    let mut all = cargo("build", &folder);
    all.args(["--workspace", "--exclude", "xtask", "--bins"]);
    match &way {
        Way::Sources(compiler) => run(from_sources(&mut all, compiler, &folder)?)?,
        Way::Installed => {
            run(&mut all)?;
            // As in link-static.rs, and for its reasons.
            let mut again = cargo("rustc", &folder);
            run(again.args(["--package", "rs-cgexec", "--bin", "rs-cgexec", "--", FIXED]))?;
        }
    }
    Ok(Some(folder.join(triple()).join("release")))
}

/// Has the compiler make a program that runs at one address only.
const FIXED: &str = "-Crelocation-model=static";

/// A command of cargo's, whose results go below `folder`.
fn cargo(command: &str, folder: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(top()).args([command, "--quiet", "--release", "--locked"]);
    cargo.args(["--target", &triple(), "--target-dir"]).arg(folder);
    // Cargo was started for the host, by another compiler perhaps.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("RUSTUP_TOOLCHAIN") || name.starts_with("CARGO_PKG") || name == "RUSTFLAGS" {
            cargo.env_remove(&*name);
        }
    }
    cargo
}

fn run(cargo: &mut Command) -> Result<()> {
    ensure!(cargo.status()?.success(), "the tools do not build for {}", triple());
    Ok(())
}

/// The part of libunwind.a that Rust's library asks for where panics abort: a
/// backtrace, of which it finds the end at once (5 is `_URC_END_OF_STACK`).
const UNWINDER: &str = "\
int _Unwind_Backtrace(void *step, void *argument) { return 5; }
unsigned long _Unwind_GetIP(void *context) { return 0; }
unsigned long _Unwind_GetCFA(void *context) { return 0; }
void *_Unwind_FindEnclosingFunction(void *address) { return 0; }
";

/// Has `cargo` build the standard library too, without what prints backtraces:
/// these programs are stripped, and their panics abort. All have a fixed
/// address: Debian's musl-gcc knows no other static program.
fn from_sources<'a>(cargo: &'a mut Command, compiler: &Path, folder: &Path) -> Result<&'a mut Command> {
    let unwind = folder.join("unwind");
    unwinder(&unwind).context("cannot make libunwind.a")?;
    let flags = format!("-Clink-self-contained=no -Ctarget-feature=+crt-static {FIXED} -L{}", unwind.display());
    let linker = format!("CARGO_TARGET_{}_LINKER", triple().to_uppercase().replace('-', "_"));
    cargo.env("RUSTC", compiler).env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", flags).env(linker, "musl-gcc");
    Ok(cargo.args(["-Zbuild-std=std,panic_abort", "-Zbuild-std-features="]))
}

/// Makes [`UNWINDER`] in `folder`: Debian's own are made for glibc.
fn unwinder(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let (archive, source, object) = (folder.join("libunwind.a"), folder.join("unwind.c"), folder.join("unwind.o"));
    std::fs::write(&source, UNWINDER)?;
    ensure!(
        Command::new("musl-gcc").arg("-c").arg(&source).arg("-o").arg(&object).status()?.success(),
        "musl-gcc failed"
    );
    ensure!(Command::new("ar").arg("rc").args([&archive, &object]).status()?.success(), "ar failed");
    Ok(())
}
