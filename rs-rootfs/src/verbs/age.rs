//! Points in time as people read them.

use std::time::SystemTime;

/// Seconds since 1970 of an RFC 3339 time, fractions dropped.
pub(super) fn seconds(text: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let zone = text.get(19..)?.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let offset = match zone.split_at_checked(1)? {
        ("Z" | "z", "") => 0,
        (sign @ ("+" | "-"), rest) => {
            let (hours, minutes) = rest.split_once(':')?;
            let minutes = i64::from(hours.parse::<u8>().ok()?) * 60 + i64::from(minutes.parse::<u8>().ok()?);
            if sign == "-" { -minutes * 60 } else { minutes * 60 }
        }
        _ => return None,
    };
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || year < 1 {
        return None;
    }
    // Days from the civil date, with March as the first month.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second - offset)
}

/// How long ago, in the largest unit of which there are two, as docker says.
pub(super) fn ago(then: i64) -> String {
    let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    let past = now.saturating_sub(then).max(0);
    let text = match past {
        0 => "Less than a second".to_owned(),
        1 => "1 second".to_owned(),
        2..60 => format!("{past} seconds"),
        60..120 => "About a minute".to_owned(),
        120..3600 => format!("{} minutes", past / 60),
        3600..7200 => "About an hour".to_owned(),
        7200..172_800 => format!("{} hours", past / 3600),
        172_800..1_209_600 => format!("{} days", past / 86_400),
        1_209_600..5_184_000 => format!("{} weeks", past / 604_800),
        5_184_000..63_072_000 => format!("{} months", past / 2_592_000),
        _ => format!("{} years", past / 31_536_000),
    };
    format!("{text} ago")
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn times() {
        assert_eq!(seconds("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(seconds("2024-02-29T12:00:00.123456789Z"), Some(1_709_208_000));
        assert_eq!(seconds("2024-02-29T12:00:00+01:30"), Some(1_709_202_600));
        assert_eq!(super::ago(i64::MIN).split(' ').nth(1), Some("years"));
        for bad in [
            "2024-02-29T12:00:00+9223372036854775807:00",
            "",
            "yesterday",
            "2024-02-29",
            "2024-13-01T00:00:00Z",
            "2024-01-01T00:00:00",
        ] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }
}
