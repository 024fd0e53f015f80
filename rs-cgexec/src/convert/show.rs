//! What a parameter of the other version reads as.

use super::number::{HUGE_UNLIMITED, Limit, UNLIMITED, keyed, scaled, v1_limit, v2_limit};
use super::{Files, How, Match, Refusal, read};
use crate::hierarchy::Version;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The value that `found` names, in the form of the version it was asked in.
///
/// # Errors
/// No equivalent, a write-only parameter, or a file that cannot be read.
pub fn show(found: &Match, files: Files<'_>) -> Result<String, Refusal> {
    let target = found.target()?;
    match found.asked {
        Version::V1 => v1_on_v2(found, target, files),
        Version::V2 => v2_on_v1(found, target, files),
    }
}

fn v1_on_v2(found: &Match, target: &str, files: Files<'_>) -> Result<String, Refusal> {
    let odd = |text: &str| found.invalid(text, "not understood");
    let text = || read(files, target);
    Ok(match found.row.how {
        How::AsIs | How::Shown | How::Counter => text()?,
        How::Limit => text().map(|text| if text == "max" { UNLIMITED.to_string() } else { text })?,
        How::HugeLimit => text().map(|text| if text == "max" { "-1".to_owned() } else { text })?,
        How::Swap => {
            let (memory, swap) = (read(files, "memory.max")?, text()?);
            let both = v2_limit(&memory).and_then(Limit::bytes).zip(v2_limit(&swap).and_then(Limit::bytes));
            both.map_or(UNLIMITED, |(memory, swap)| memory.saturating_add(swap).min(UNLIMITED)).to_string()
        }
        How::SwapUsage => {
            let (memory, swap) = (read(files, "memory.current")?, text()?);
            let number = |text: &str| text.parse::<u64>().map_err(|_| odd(text));
            (number(&memory)? + number(&swap)?).to_string()
        }
        How::Event(key) => text().and_then(|text| keyed(&text, key).ok_or_else(|| odd(&text)))?.to_string(),
        How::OomControl => {
            let kills = keyed(&text()?, "oom_kill").unwrap_or(0);
            format!("oom_kill_disable 0\nunder_oom 0\noom_kill {kills}")
        }
        How::Quota => text().map(|text| {
            let quota = text.split(' ').next().unwrap_or_default();
            if quota == "max" { "-1" } else { quota }.to_owned()
        })?,
        How::Period => text().map(|text| text.split(' ').nth(1).unwrap_or_default().to_owned())?,
        How::Shares => {
            let text = text()?;
            scaled(text.parse().map_err(|_| odd(&text))?, 1024, 100, 2, 262_144).to_string()
        }
        How::Time(key) => {
            let text = text()?;
            (keyed(&text, key).ok_or_else(|| odd(&text))? * 1000).to_string()
        }
        How::Ticks => {
            let text = text()?;
            let ticks = |key| keyed(&text, key).unwrap_or(0) / 10_000;
            format!("user {}\nsystem {}", ticks("user_usec"), ticks("system_usec"))
        }
        How::Partition => u8::from(text()? == "root").to_string(),
        How::Throttle(key) => throttle(&text()?, key),
        How::BfqWeight => default_of(&text()?).to_owned(),
        How::Weight => {
            let text = text()?;
            v1_weight(default_of(&text).parse().map_err(|_| odd(&text))?).to_string()
        }
        How::IoStat(keys) => io_stat(&text()?, keys),
        How::Freezer => {
            let frozen = read(files, "cgroup.events").is_ok_and(|text| keyed(&text, "frozen") == Some(1));
            let asked = text()? == "1";
            if frozen {
                "FROZEN"
            } else if asked {
                "FREEZING"
            } else {
                "THAWED"
            }
            .to_owned()
        }
        // As v1 has it: a file that takes and tells nothing.
        How::Reclaim => String::new(),
        How::Already(_) | How::Nothing => return Err(found.no_equivalent()),
    })
}

fn v2_on_v1(found: &Match, target: &str, files: Files<'_>) -> Result<String, Refusal> {
    let odd = |text: &str| found.invalid(text, "not understood");
    let text = || read(files, target);
    Ok(match found.row.how {
        How::AsIs | How::Shown | How::Counter => text()?,
        How::Limit => {
            text().map(|text| if v1_limit(&text) == Some(Limit::Unlimited) { "max".to_owned() } else { text })?
        }
        How::HugeLimit => {
            let text = text()?;
            if text.parse().is_ok_and(|bytes: u64| bytes >= HUGE_UNLIMITED) { "max".to_owned() } else { text }
        }
        How::Swap => {
            let (memory, both) = (read(files, "memory.limit_in_bytes")?, text()?);
            let swap = v1_limit(&both)
                .and_then(Limit::bytes)
                .map(|both| both - v1_limit(&memory).and_then(Limit::bytes).unwrap_or(both).min(both));
            swap.map_or_else(|| "max".to_owned(), |swap| swap.to_string())
        }
        How::Quota | How::Period => {
            let (quota, period) = (read(files, "cpu.cfs_quota_us")?, read(files, "cpu.cfs_period_us")?);
            format!("{} {period}", if quota.starts_with('-') { "max" } else { &quota })
        }
        How::Shares => {
            let text = text()?;
            scaled(text.parse().map_err(|_| odd(&text))?, 100, 1024, 1, 10_000).to_string()
        }
        How::Partition => if text()? == "1" { "root" } else { "member" }.to_owned(),
        How::Throttle(_) => io_max(files)?,
        How::BfqWeight => format!("default {}", text()?),
        How::Weight => {
            let text = text()?;
            format!("default {}", v2_weight(text.parse().map_err(|_| odd(&text))?))
        }
        How::Freezer => u8::from(text()? != "THAWED").to_string(),
        How::SwapUsage
        | How::Event(_)
        | How::OomControl
        | How::Reclaim
        | How::Time(_)
        | How::Ticks
        | How::IoStat(_)
        | How::Already(_)
        | How::Nothing => return Err(found.no_equivalent()),
    })
}

/// `default 100` or `100` as `100`.
pub(super) fn default_of(text: &str) -> &str {
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("default ").unwrap_or(line).trim()
}

/// 10…1000 as 1…10000.
pub(super) fn v2_weight(v1: u64) -> u64 {
    1 + (v1.clamp(10, 1000) - 10) * 9999 / 990
}

/// 1…10000 as 10…1000, so that the way there and back ends where it began.
pub(super) fn v1_weight(v2: u64) -> u64 {
    10 + ((v2.clamp(1, 10_000) - 1) * 990).div_ceil(9999)
}

/// Lines of `M:m key=value …` as `M:m` with the value of one key.
fn throttle(text: &str, key: &str) -> String {
    let line = |line: &str| {
        let (device, _) = line.split_once(' ')?;
        let value = line.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='))?;
        Some(format!("{device} {}", if value == "max" { "0" } else { value }))
    };
    text.lines().filter_map(line).collect::<Vec<_>>().join("\n")
}

/// The four files of v1 as the lines of `io.max`.
fn io_max(files: Files<'_>) -> Result<String, Refusal> {
    let keys = super::TABLE.iter().filter_map(|row| match row.how {
        How::Throttle(key) => Some((row.v1, key)),
        _ => None,
    });
    let mut devices: BTreeMap<String, BTreeMap<&str, String>> = BTreeMap::new();
    for (file, key) in keys {
        for line in read(files, file)?.lines() {
            if let Some((device, value)) = line.split_once(' ') {
                devices.entry(device.to_owned()).or_default().insert(key, value.to_owned());
            }
        }
    }
    let mut lines = Vec::new();
    for (device, values) in devices {
        let mut line = device;
        for key in ["rbps", "wbps", "riops", "wiops"] {
            let value = values.get(key).map_or("0", String::as_str);
            let _ = write!(line, " {key}={}", if value == "0" { "max" } else { value });
        }
        lines.push(line);
    }
    Ok(lines.join("\n"))
}

/// `io.stat` in the words of blkio: for each device, then the sum.
fn io_stat(text: &str, keys: [&str; 3]) -> String {
    let mut lines = String::new();
    let mut sum = 0;
    for line in text.lines() {
        let Some((device, rest)) = line.split_once(' ') else { continue };
        let value = |key: &str| {
            rest.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('=')?.parse::<u64>().ok()).unwrap_or(0)
        };
        let [read, written, discarded] = keys.map(value);
        let total = read + written + discarded;
        let _ = writeln!(
            lines,
            "{device} Read {read}\n{device} Write {written}\n{device} Discard {discarded}\n{device} Total {total}"
        );
        sum += total;
    }
    lines + &format!("Total {sum}")
}
