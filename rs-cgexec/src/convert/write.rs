//! What a value of the other version is written as, and where.

use super::number::{Limit, UNLIMITED, integer, natural, scaled, v1_limit, v2_limit};
use super::show::{default_of, v1_weight, v2_weight};
use super::{Files, How, Match, Refusal, read};
use crate::hierarchy::Version;
use nix::errno::Errno;

/// One write in the host's own version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The file of the group.
    pub file: String,
    /// What is written.
    pub value: String,
    /// A refusal that is none: the kernel did what it could.
    pub forgiven: Option<Errno>,
}

fn step(file: &str, value: impl Into<String>) -> Step {
    Step { file: file.to_owned(), value: value.into(), forgiven: None }
}

/// The writes that give the parameter `found` the value `value`; none where
/// it is so already.
///
/// # Errors
/// No equivalent, a read-only parameter, a value that is none, or a file
/// that had to be read first and cannot be.
pub fn plan(found: &Match, value: &str, files: Files<'_>) -> Result<Vec<Step>, Refusal> {
    match found.asked {
        Version::V1 => v1_on_v2(found, value, files),
        Version::V2 => v2_on_v1(found, value, files),
    }
}

fn v1_on_v2(found: &Match, value: &str, files: Files<'_>) -> Result<Vec<Step>, Refusal> {
    // "No limit" has many forms.
    let unlimited = |text| v1_limit(text) == Some(Limit::Unlimited);
    if matches!(found.row.how, How::Already(so) if so == value || unlimited(so) && unlimited(value)) {
        return Ok(Vec::new());
    }
    let target = found.target()?;
    let number = || natural(value).ok_or_else(|| found.invalid(value, "want a number"));
    let one = |value: String| Ok(vec![step(target, value)]);
    match found.row.how {
        How::AsIs | How::BfqWeight => one(value.to_owned()),
        How::Limit => one(if unlimited(value) { "max".to_owned() } else { value.to_owned() }),
        How::HugeLimit => one(if value == "-1" { "max".to_owned() } else { value.to_owned() }),
        How::Swap => one(swap_alone(found, value, files)?),
        How::Quota => {
            let now = read(files, target)?;
            let quota = integer(value).ok_or_else(|| found.invalid(value, "want a number"))?;
            let quota = if quota < 0 { "max".to_owned() } else { quota.to_string() };
            one(format!("{quota} {}", now.split(' ').nth(1).unwrap_or("100000")))
        }
        How::Period if value.starts_with('-') => Err(found.invalid(value, "a period is a positive number")),
        How::Period => {
            let (now, period) = (read(files, target)?, number()?);
            one(format!("{} {period}", now.split(' ').next().unwrap_or("max")))
        }
        How::Shares => one(scaled(number()?, 100, 1024, 1, 10_000).to_string()),
        How::Partition => match value {
            "1" => one("root".to_owned()),
            "0" => one("member".to_owned()),
            _ => Err(found.invalid(value, "want 0 or 1")),
        },
        How::Throttle(key) => {
            let (device, limit) =
                value.trim().split_once(' ').ok_or_else(|| found.invalid(value, "want MAJOR:MINOR LIMIT"))?;
            match limit.trim().parse::<u64>() {
                Ok(0) => one(format!("{device} {key}=max")),
                Ok(limit) => one(format!("{device} {key}={limit}")),
                Err(_) => Err(found.invalid(value, "want MAJOR:MINOR LIMIT")),
            }
        }
        How::Weight => match number()? {
            weight @ 10..=1000 => one(v2_weight(weight).to_string()),
            _ => Err(found.invalid(value, "want 10 to 1000")),
        },
        How::Freezer => match value {
            "FROZEN" => one("1".to_owned()),
            "THAWED" => one("0".to_owned()),
            _ => Err(found.invalid(value, "want FROZEN or THAWED")),
        },
        How::Reclaim => {
            let now = read(files, "memory.current")?;
            Ok(vec![Step { forgiven: Some(Errno::EAGAIN), ..step(target, now) }])
        }
        How::OomControl if value == "0" => Ok(Vec::new()),
        How::Shown | How::SwapUsage | How::Ticks | How::IoStat(_) => Err(Refusal::ReadOnly(found.name.clone())),
        How::Time(key) if key != "usage_usec" => Err(Refusal::ReadOnly(found.name.clone())),
        How::Counter | How::Event(_) | How::OomControl | How::Time(_) | How::Already(_) | How::Nothing => {
            Err(found.no_equivalent())
        }
    }
}

/// What is left for swap when memory has its limit.
fn swap_alone(found: &Match, value: &str, files: Files<'_>) -> Result<String, Refusal> {
    let both = v1_limit(value).ok_or_else(|| found.invalid(value, "want a number of bytes"))?;
    let Limit::Bytes(both) = both else { return Ok("max".to_owned()) };
    let memory = v2_limit(&read(files, "memory.max")?).and_then(Limit::bytes);
    let memory = memory.ok_or_else(|| found.invalid(value, "memory has no limit; set memory.limit_in_bytes first"))?;
    let swap = both.checked_sub(memory).ok_or_else(|| found.invalid(value, "less than the limit of memory alone"))?;
    Ok(swap.to_string())
}

fn v2_on_v1(found: &Match, value: &str, files: Files<'_>) -> Result<Vec<Step>, Refusal> {
    let target = found.target()?;
    let number = |text: &str| natural(text).ok_or_else(|| found.invalid(value, "want a number"));
    let one = |value: String| Ok(vec![step(target, value)]);
    match found.row.how {
        How::AsIs => one(value.to_owned()),
        How::Limit if target == MEMORY => Ok(memory_keeping_swap(value, files)),
        How::Limit | How::HugeLimit => one(v1_text(value).to_owned()),
        How::Swap => {
            let swap = v2_limit(value).ok_or_else(|| found.invalid(value, "want a number of bytes or max"))?;
            let Limit::Bytes(swap) = swap else { return one("-1".to_owned()) };
            let memory = v1_limit(&read(files, MEMORY)?).and_then(Limit::bytes);
            let memory = memory.ok_or_else(|| found.invalid(value, "memory has no limit; set memory.max first"))?;
            one(memory.saturating_add(swap).min(UNLIMITED).to_string())
        }
        How::Quota | How::Period => cpu_max(found, value),
        How::Shares => match number(value)? {
            weight @ 1..=10_000 => one(scaled(weight, 1024, 100, 2, 262_144).to_string()),
            _ => Err(found.invalid(value, "want 1 to 10000")),
        },
        How::Partition => match value {
            "root" => one("1".to_owned()),
            "member" => one("0".to_owned()),
            "isolated" => Err(found.no_equivalent()),
            _ => Err(found.invalid(value, "want root or member")),
        },
        How::Throttle(_) => io_max(found, value),
        How::BfqWeight => one(default_of(value).to_owned()),
        How::Weight => match number(default_of(value))? {
            weight @ 1..=10_000 => one(v1_weight(weight).to_string()),
            _ => Err(found.invalid(value, "want 1 to 10000")),
        },
        How::Freezer => match value {
            "1" => one("FROZEN".to_owned()),
            "0" => one("THAWED".to_owned()),
            _ => Err(found.invalid(value, "want 0 or 1")),
        },
        How::Shown | How::Counter => Err(Refusal::ReadOnly(found.name.clone())),
        How::SwapUsage
        | How::Event(_)
        | How::OomControl
        | How::Reclaim
        | How::Time(_)
        | How::Ticks
        | How::IoStat(_)
        | How::Already(_)
        | How::Nothing => Err(found.no_equivalent()),
    }
}

const MEMORY: &str = "memory.limit_in_bytes";
const BOTH: &str = "memory.memsw.limit_in_bytes";

/// v2's `max` is v1's `-1`.
fn v1_text(value: &str) -> &str {
    if value.trim() == "max" { "-1" } else { value }
}

/// v1's second limit is for memory and swap together: where there is one it
/// moves with the first, so that swap keeps what it had. The first must never
/// be above the second, not even between the steps.
fn memory_keeping_swap(value: &str, files: Files<'_>) -> Vec<Step> {
    let limit = step(MEMORY, v1_text(value));
    let now = |file| files(file).ok().and_then(|text| v1_limit(text.trim_end())).and_then(Limit::bytes);
    let (Some(memory), Some(both), Some(new)) = (now(MEMORY), now(BOTH), v2_limit(value).and_then(Limit::bytes)) else {
        return vec![limit];
    };
    let new = new.saturating_add(both.saturating_sub(memory)).min(UNLIMITED);
    let both = step(BOTH, new.to_string());
    if new >= memory { vec![both, limit] } else { vec![limit, both] }
}

/// `QUOTA [PERIOD]` in an order in which the kernel refuses no step: a quota
/// under a period that it does not fit is `EINVAL`.
fn cpu_max(found: &Match, value: &str) -> Result<Vec<Step>, Refusal> {
    let words: Vec<&str> = value.split_ascii_whitespace().collect();
    // Looked at before anything is written: the first step lifts the quota.
    let number = |word: &str| word.parse::<u64>().is_ok();
    let (quotas, periods) = words.split_at(words.len().min(1));
    if !quotas.iter().all(|word| *word == "max" || number(word)) || !periods.iter().all(|word| number(word)) {
        return Err(found.invalid(value, "want QUOTA [PERIOD]"));
    }
    let quota = |word| step("cpu.cfs_quota_us", v1_text(word));
    match words[..] {
        [limit] => Ok(vec![quota(limit)]),
        ["max", period] => Ok(vec![quota("max"), step("cpu.cfs_period_us", period)]),
        [limit, period] => Ok(vec![quota("max"), step("cpu.cfs_period_us", period), quota(limit)]),
        _ => Err(found.invalid(value, "want QUOTA [PERIOD]")),
    }
}

/// `M:m key=value …`, a write for each key.
fn io_max(found: &Match, value: &str) -> Result<Vec<Step>, Refusal> {
    let mut words = value.split_ascii_whitespace();
    let device = words.next().ok_or_else(|| found.invalid(value, "want MAJOR:MINOR KEY=LIMIT"))?;
    let mut steps = Vec::new();
    for word in words {
        let row = |key: &str| super::TABLE.iter().find(|row| matches!(row.how, How::Throttle(one) if one == key));
        let (key, limit) = word.split_once('=').ok_or_else(|| found.invalid(value, "want KEY=LIMIT"))?;
        let row = row(key).ok_or_else(|| found.invalid(value, "want rbps, wbps, riops or wiops"))?;
        let limit = match limit.parse::<u64>() {
            Ok(1..) => limit,
            _ if limit == "max" => "0",
            _ => return Err(found.invalid(value, "a limit is a positive number or max")),
        };
        steps.push(step(row.v1, format!("{device} {limit}")));
    }
    if steps.is_empty() { Err(found.invalid(value, "want KEY=LIMIT")) } else { Ok(steps) }
}
