use std::num::NonZeroU32;

/// How fast one caller may ask, and how much. What is `None` has no limit of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Allowance {
    /// Calls a second, a stream being one; as many again at once after a pause of two seconds.
    pub calls_per_second: Option<NonZeroU32>,
    /// Rows a second on streams of rows: who sends faster is read more slowly.
    pub rows_per_second: Option<NonZeroU32>,
    /// Rows a day, in UTC, a single submission or check being one: what is more is refused until midnight.
    pub rows_per_day: Option<NonZeroU32>,
}
