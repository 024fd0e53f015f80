//! Values that docker's client looks at once the whole command line is read.
//! What they ask for concerns the running container; a wrong one is refused
//! here as it is there.

use super::flags::Words;
use super::{Called, Ended};

/// Checks the forms of all values.
pub(super) fn check(called: &Called, words: &Words) -> Result<(), Ended> {
    for (flag, value) in &words.flags {
        one(flag, &value.to_string_lossy())
            .map_err(|why| Ended::new(format!("docker: {why}\n\n{}", super::hint(called, "Run")), 125))?;
    }
    Ok(())
}

fn when(good: bool, why: impl Into<String>) -> Result<(), String> {
    if good { Ok(()) } else { Err(why.into()) }
}

fn one(flag: &str, value: &str) -> Result<(), String> {
    match flag {
        "publish" | "expose" if !value.contains('=') => port(flag, value),
        "env-file" => env_file(value),
        "label-file" => read(value).map(drop),
        "volume" if value.is_empty() => Err("invalid empty volume spec".to_owned()),
        "volume" => when(value.split(':').count() < 4, format!("invalid spec: {value}: too many colons")),
        "net" | "network" => when(!value.is_empty(), "no name set for network"),
        "device" if !value.contains('=') => device(value),
        "memory-swappiness" => {
            let good = value.parse::<i64>().is_ok_and(|it| (-1..=100).contains(&it));
            when(good, format!("invalid value: {value}. Valid memory swappiness range is 0-100"))
        }
        _ if flag.starts_with("health-") && flag != "health-cmd" => {
            when(!value.starts_with('-'), format!("--{flag} cannot be negative"))
        }
        "pid" => {
            let other = value.strip_prefix("container:").is_some_and(|name| !name.is_empty());
            when(other || matches!(value, "" | "host"), "--pid: invalid PID mode")
        }
        "uts" => when(matches!(value, "" | "host"), "--uts: invalid UTS mode"),
        "userns" => when(matches!(value, "" | "host"), "--userns: invalid USER mode"),
        "cgroupns" => when(matches!(value, "" | "host" | "private"), "--cgroupns: invalid CGROUP mode"),
        "restart" => {
            let count = value.split_once(':').map_or("", |(_, count)| count);
            let good = count.is_empty() || count.parse::<i64>().is_ok();
            when(good, "invalid restart policy format: maximum retry count must be an integer")
        }
        "security-opt" => {
            let pair = value.split_once(['=', ':']).is_some_and(|(_, value)| !value.is_empty());
            when(pair || value == "no-new-privileges", format!("Invalid --security-opt: {value:?}"))
        }
        "storage-opt" => when(value.contains('='), "invalid storage option"),
        _ => Ok(()),
    }
}

/// `[[IP:]HOST:]CONTAINER[/PROTOCOL]`
fn port(flag: &str, value: &str) -> Result<(), String> {
    let (bare, protocol) = value.split_once('/').unwrap_or((value, "tcp"));
    let mut parts = bare.rsplitn(3, ':');
    let mut part = || parts.next().unwrap_or_default();
    let (inside, outside, address) = (part(), part(), part());
    let is_address = address.is_empty() || address.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok();
    when(is_address, format!("invalid IP address: {address}"))?;
    let is_range = |text: &str| !text.is_empty() && text.split('-').all(|end| end.parse::<u16>().is_ok());
    let why = if flag == "publish" { "invalid containerPort" } else { "invalid range format for --expose" };
    when(is_range(inside), format!("{why}: {inside}"))?;
    if flag != "publish" {
        return Ok(());
    }
    when(outside.is_empty() || is_range(outside), format!("invalid hostPort: {outside}"))?;
    let known = matches!(protocol.to_ascii_lowercase().as_str(), "tcp" | "udp" | "sctp");
    when(known, format!("invalid proto: {protocol}"))
}

/// `HOST[:CONTAINER][:MODE]`
fn device(value: &str) -> Result<(), String> {
    let parts: Vec<&str> = value.split(':').collect();
    when(parts.len() < 4 && !parts[0].is_empty(), format!("bad format for path: {value}"))?;
    let is_mode = |text: &str| {
        let once = |letter: char| text.matches(letter).count() == 1;
        !text.is_empty() && text.chars().all(|letter| "rwm".contains(letter) && once(letter))
    };
    let path = match parts.as_slice() {
        [path, mode] if is_mode(mode) => path,
        [path] | [_, path] | [_, path, ..] => path,
        [] => value,
    };
    if let [_, _, mode] = parts.as_slice() {
        when(is_mode(mode), format!("bad mode specified: {mode}"))?;
    }
    when(path.starts_with('/'), format!("{path} is not an absolute path"))
}

fn read(path: &str) -> Result<String, String> {
    let bytes =
        std::fs::read(path).map_err(|error| format!("open {path}: {}", crate::reason(&error).to_lowercase()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// `NAME[=VALUE]`, a line each.
fn env_file(path: &str) -> Result<(), String> {
    for line in read(path)?.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let name = line.split('=').next().unwrap_or_default();
        when(!name.is_empty(), format!("invalid env file ({path}): no variable name on line '{line}'"))?;
        let why = format!("invalid env file ({path}): variable '{name}' contains whitespaces");
        when(!name.contains([' ', '\t']), why)?;
    }
    Ok(())
}
