//! How long to wait before asking again.

use std::time::{Duration, SystemTime};

const TRIES: u32 = 5;
/// No server makes us wait longer.
const LONGEST: Duration = Duration::from_mins(1);

/// How often something was tried again.
#[derive(Debug, Default)]
pub(super) struct Tries(u32);

impl Tries {
    /// Waits before the next try: as long as the server asked, else 1, 2, 4,
    /// 8, 16 seconds, each up to a quarter longer, so that many who failed
    /// together do not come back together. Says no after the fifth, and when
    /// `given_up` says that nobody waits for the answer any more.
    pub(super) fn wait(&mut self, asked: Option<Duration>, given_up: &dyn Fn() -> bool) -> bool {
        if self.0 == TRIES {
            return false;
        }
        let own = Duration::from_secs(1 << self.0);
        let nanos = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |now| now.subsec_nanos());
        let jitter = own.mul_f64(f64::from(nanos % 1000) / 4000.0);
        self.0 += 1;
        let mut left = asked.map_or(own + jitter, |asked| asked.min(LONGEST));
        while !left.is_zero() {
            if given_up() {
                return false;
            }
            let slice = left.min(Duration::from_millis(50));
            std::thread::sleep(slice);
            left -= slice;
        }
        !given_up()
    }

    /// Something came: the next trouble is a new one.
    pub(super) fn progress(&mut self) {
        self.0 = 0;
    }
}

/// `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3).
pub(crate) fn retry_after(value: &str) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_servers_ask() {
        assert_eq!(retry_after(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(30));
        assert!(retry_after(&soon).is_some_and(|wait| (28..=30).contains(&wait.as_secs())));
        assert_eq!(retry_after("soon"), None);
    }

    #[test]
    fn five_times() {
        let mut tries = Tries::default();
        for _ in 0..5 {
            assert!(tries.wait(Some(Duration::ZERO), &|| false));
        }
        assert!(!tries.wait(Some(Duration::ZERO), &|| false));
        assert!(!Tries::default().wait(None, &|| true));
    }
}
