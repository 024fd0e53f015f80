//! `gc`: removes what nothing names any more.

use super::{damage, print};
use crate::Error;
use crate::store::Store;
use clap::Parser;
use std::process::ExitCode;
use std::time::Duration;

/// Remove from the store what no image name and no container needs
#[derive(Debug, Parser)]
#[command(after_help = "Example: rs-rootfs gc --keep-days 30")]
pub struct Gc {
    /// only say what would be removed
    #[arg(long)]
    dry_run: bool,
    /// keep what is younger than N days
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    keep_days: u16,
}

/// Runs it.
pub(super) fn run(cli: &Gc) -> Result<ExitCode, Error> {
    let store = Store::open_alone()?;
    let keep = Duration::from_hours(24 * u64::from(cli.keep_days));
    let freed = store.collect_garbage(keep, cli.dry_run)?;
    let verb = if cli.dry_run { "would free" } else { "freed" };
    print(&format!("{verb} {} bytes in {} files\n", freed.bytes, freed.files))?;
    Ok(damage(&store, "pull it again, or remove it with rm: until then gc keeps whatever it may need"))
}
