//! The host's clock, as text for the names of files.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now, in UTC and to the second: `20260131T235959Z`.
pub fn stamp() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    // A clock before 1970 is the host's trouble, not ours: any name will do.
    written(now.map_or(0, |d| d.as_secs()))
}

fn written(seconds: u64) -> String {
    let (year, month, day) = date(seconds / 86400);
    let (h, m, s) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}{month:02}{day:02}T{h:02}{m:02}{s:02}Z")
}

/// Year, month and day, so many days after 1970-01-01. The year begins in March here, so that the
/// leap day is its last.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::written;

    #[test]
    fn leap_days_and_turns_of_the_year() {
        assert_eq!(written(0), "19700101T000000Z");
        assert_eq!(written(951_827_696), "20000229T123456Z");
        assert_eq!(written(1_798_761_599), "20261231T235959Z");
        assert_eq!(written(1_798_761_600), "20270101T000000Z");
    }
}
