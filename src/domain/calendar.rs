//! Days on which people work: a seller's time to answer is counted in them.

use std::collections::BTreeSet;

use jiff::Span;
use jiff::civil::{Date, Weekday};
use serde::{Deserialize, Serialize};

use super::vocabulary::vocabulary;
use super::{FieldError, Timestamp};

/// Days that a calendar may name: twenty years of them, so that a roster stays small.
const MAX_DAYS: usize = 1_000;
/// Days that are looked at for the end of a term: more than any term can have with the weekends and holidays between.
const MAX_LOOKED_AT: u16 = 3_660;
/// Farthest offsets of any time zone from UTC.
const MAX_OFFSET_MINUTES: u16 = 14 * 60;
const MS_A_MINUTE: i64 = 60_000;
const MS_A_DAY: i64 = 86_400_000;

/// Which days are working days, and where a day begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Calendar {
    /// Days of the week on which nobody works.
    pub weekend: BTreeSet<DayOfWeek>,
    /// Other days on which nobody works.
    pub holidays: BTreeSet<Date>,
    /// Days of a weekend on which people work, as in weeks around long holidays in China.
    pub workdays: BTreeSet<Date>,
    /// Minutes that the alliance's time is ahead of UTC, -840 to 840.
    pub utc_offset_minutes: i16,
}

impl Default for Calendar {
    fn default() -> Self {
        let (holidays, workdays) = (BTreeSet::new(), BTreeSet::new());
        Self { weekend: [DayOfWeek::Saturday, DayOfWeek::Sunday].into(), holidays, workdays, utc_offset_minutes: 0 }
    }
}

impl Calendar {
    /// # Errors
    /// The first field that is out of bounds, or a week without a working day.
    pub fn validate(&self) -> Result<(), FieldError> {
        if self.weekend.len() >= DayOfWeek::ALL.len() {
            return Err(FieldError::new("CALENDAR_INVALID", "weekend", "leave at least one day of the week to work"));
        }
        if self.holidays.len() > MAX_DAYS || self.workdays.len() > MAX_DAYS {
            return Err(FieldError::new(
                "CALENDAR_INVALID",
                "holidays",
                "name at most 1000 days; leave out those from before the oldest signal that is kept",
            ));
        }
        if self.utc_offset_minutes.unsigned_abs() > MAX_OFFSET_MINUTES {
            return Err(FieldError::new("CALENDAR_INVALID", "utc_offset_minutes", "give -840 to 840 minutes"));
        }
        Ok(())
    }

    /// Whether people work on that day.
    #[must_use]
    pub fn is_working_day(&self, day: Date) -> bool {
        let in_weekend = self.weekend.contains(&day.weekday().into());
        !self.holidays.contains(&day) && (!in_weekend || self.workdays.contains(&day))
    }

    /// The end of the `days`-th working day after the day of `from`.
    #[must_use]
    pub fn working_days_after(&self, from: Timestamp, days: u16) -> Timestamp {
        let mut day = self.day_of(from);
        let mut left = days;
        for _ in 0..MAX_LOOKED_AT {
            if left == 0 {
                break;
            }
            let Ok(next) = day.tomorrow() else { break };
            day = next;
            left -= u16::from(self.is_working_day(day));
        }
        self.end_of(day)
    }

    /// The end of the day that is `days` calendar days after that of `from`.
    #[must_use]
    pub fn days_after(&self, from: Timestamp, days: u16) -> Timestamp {
        self.end_of(self.day_of(from).saturating_add(Span::new().days(i64::from(days))))
    }

    fn offset_ms(&self) -> i64 {
        i64::from(self.utc_offset_minutes) * MS_A_MINUTE
    }

    fn day_of(&self, instant: Timestamp) -> Date {
        Timestamp::from_unix_ms(instant.unix_ms().saturating_add(self.offset_ms())).date()
    }

    /// The first instant that is no longer of that day.
    fn end_of(&self, day: Date) -> Timestamp {
        let epoch = jiff::civil::date(1970, 1, 1);
        let days = i64::from(epoch.until(day).map_or(0, |span| span.get_days()));
        Timestamp::from_unix_ms((days + 1) * MS_A_DAY - self.offset_ms())
    }
}

vocabulary! {
    /// A day of the week.
    DayOfWeek, "weekend", "DAY_OF_WEEK_UNKNOWN";
    /// Day 1 of ISO 8601.
    Monday = 1, "monday";
    /// Day 2.
    Tuesday = 2, "tuesday";
    /// Day 3.
    Wednesday = 3, "wednesday";
    /// Day 4.
    Thursday = 4, "thursday";
    /// Day 5.
    Friday = 5, "friday";
    /// Day 6.
    Saturday = 6, "saturday";
    /// Day 7.
    Sunday = 7, "sunday";
}

impl From<Weekday> for DayOfWeek {
    fn from(day: Weekday) -> Self {
        match day {
            Weekday::Monday => Self::Monday,
            Weekday::Tuesday => Self::Tuesday,
            Weekday::Wednesday => Self::Wednesday,
            Weekday::Thursday => Self::Thursday,
            Weekday::Friday => Self::Friday,
            Weekday::Saturday => Self::Saturday,
            Weekday::Sunday => Self::Sunday,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::from_unix_ms(text.parse::<jiff::Timestamp>().expect("valid").as_millisecond())
    }

    #[test]
    fn weekends_and_holidays_give_no_time_away() {
        let mut calendar = Calendar::default();
        // A Thursday.
        assert_eq!(calendar.working_days_after(at("2026-11-26T10:00:00Z"), 3), at("2026-12-02T00:00:00Z"));
        calendar.holidays.insert(jiff::civil::date(2026, 11, 30));
        assert_eq!(calendar.working_days_after(at("2026-11-26T10:00:00Z"), 3), at("2026-12-03T00:00:00Z"));
        calendar.workdays.insert(jiff::civil::date(2026, 11, 28));
        assert_eq!(calendar.working_days_after(at("2026-11-26T10:00:00Z"), 3), at("2026-12-02T00:00:00Z"));
        assert_eq!(calendar.days_after(at("2026-11-26T10:00:00Z"), 15), at("2026-12-12T00:00:00Z"));
    }

    #[test]
    fn a_day_begins_where_the_alliance_is() {
        let beijing = Calendar { utc_offset_minutes: 480, ..Calendar::default() };
        // Already Friday there; the next working day is Monday.
        assert_eq!(beijing.working_days_after(at("2026-11-26T17:00:00Z"), 1), at("2026-11-30T16:00:00Z"));
        let west = Calendar { utc_offset_minutes: -480, ..Calendar::default() };
        assert_eq!(west.working_days_after(at("2026-11-26T07:00:00Z"), 1), at("2026-11-27T08:00:00Z"));
    }

    #[test]
    fn a_calendar_has_working_days() {
        let idle = Calendar { weekend: DayOfWeek::ALL.iter().copied().collect(), ..Calendar::default() };
        assert_eq!(idle.validate().expect_err("refused").code, "CALENDAR_INVALID");
        let far = Calendar { utc_offset_minutes: 900, ..Calendar::default() };
        assert_eq!(far.validate().expect_err("refused").code, "CALENDAR_INVALID");
        assert_eq!(Calendar::default().validate(), Ok(()));
    }
}
