use std::fmt;

/// An instant: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Later than any.
    pub const MAX: Self = Self(i64::MAX);

    /// From milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_unix_ms(ms: i64) -> Self {
        Self(ms)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn unix_ms(self) -> i64 {
        self.0
    }

    /// Whole days since 1970-01-01, rounded down.
    #[must_use]
    pub const fn unix_day(self) -> i64 {
        self.0.div_euclid(86_400_000)
    }

    /// The beginning of a day, by its number as [`Self::unix_day`] gives it.
    #[must_use]
    pub const fn from_unix_day(day: u32) -> Self {
        Self(day as i64 * 86_400_000)
    }

    /// The UTC calendar day.
    #[must_use]
    pub fn date(self) -> jiff::civil::Date {
        jiff::Timestamp::from_millisecond(self.0).map_or(jiff::civil::Date::MAX, |t| t.to_zoned(jiff::tz::TimeZone::UTC).date())
    }

    /// `days` times 24 hours later.
    #[must_use]
    pub const fn plus_days(self, days: u16) -> Self {
        Self(self.0.saturating_add(days as i64 * 86_400_000))
    }

    /// Whether it lies more than a day after `now`, which no clock and no time zone explains.
    #[must_use]
    pub const fn is_ahead_of(self, now: Self) -> bool {
        self.0 > now.plus_days(1).0
    }

    /// `self - earlier`, zero where `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> std::time::Duration {
        std::time::Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(t) => t.fmt(f),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}
