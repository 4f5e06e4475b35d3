//! Standing checks, and what is told when their answer changes.

use std::fmt;
use std::str::FromStr;

use super::vocabulary::vocabulary;
use super::{FieldError, IdentifierKind, PseudonymSet, SignalRef, Subject, Timestamp, Verdict};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $field:literal, $code:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = FieldError;

            fn from_str(text: &str) -> Result<Self, FieldError> {
                let digits = text.strip_prefix($prefix).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
                let number = digits.and_then(|digits| digits.parse().ok());
                number.map(Self).ok_or_else(|| {
                    FieldError::new($code, $field, concat!("give it as it was listed, ", $prefix, " and a number"))
                })
            }
        }
    };
}

number! {
    /// By this a watch is listed and ended: `wat_` and a number, of one node.
    WatchId, "wat_", "watch", "WATCH_INVALID"
}

number! {
    /// By this an alert is acknowledged: `alr_` and a number, of one node, in the order in which they were raised.
    AlertId, "alr_", "alert", "ALERT_INVALID"
}

/// A standing check. It stays on the member's own node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    /// Kind of each identifier, 1 to 32.
    pub kinds: Vec<IdentifierKind>,
    /// One set for each key that was active, each as long as `kinds`.
    pub pseudonyms: Vec<PseudonymSet>,
    /// When it was made.
    pub made_at: Timestamp,
    /// When it ends.
    pub until: Timestamp,
    /// The member's own name for it, at most 120 characters; it must not name the seller.
    pub label: String,
    /// What was told last.
    pub standing: Standing,
}

impl Watch {
    /// Whom it is about.
    #[must_use]
    pub fn subject(&self) -> Subject<'_> {
        Subject { kinds: &self.kinds, pseudonyms: &self.pseudonyms }
    }
}

/// What a check of a seller comes to, in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The summary.
    pub verdict: Verdict,
    /// Members other than this one that flag the seller.
    pub members: u32,
}

impl Standing {
    /// What a watch begins with.
    pub const UNKNOWN: Self = Self { verdict: Verdict::NoneKnown, members: 0 };

    /// What is to be told where this one follows `before`; `None` where nothing is.
    #[must_use]
    pub fn news_after(self, before: Self) -> Option<AlertKind> {
        let rank = |verdict| match verdict {
            Verdict::NoneKnown | Verdict::KnownGood => 0,
            Verdict::Disputed => 1,
            Verdict::Alleged => 2,
            Verdict::Confirmed => 3,
            Verdict::RepeatOffender => 4,
        };
        let (was, is) = (rank(before.verdict), rank(self.verdict));
        match self.verdict {
            _ if was == is => (self.members > before.members).then_some(AlertKind::NewFlag),
            Verdict::NoneKnown | Verdict::KnownGood => Some(AlertKind::Withdrawn),
            Verdict::Disputed => Some(AlertKind::Disputed),
            Verdict::Confirmed | Verdict::RepeatOffender if was < is => Some(AlertKind::Confirmed),
            Verdict::Alleged if was < is => Some(AlertKind::NewFlag),
            Verdict::Alleged | Verdict::Confirmed | Verdict::RepeatOffender => Some(AlertKind::Weakened),
        }
    }
}

vocabulary! {
    /// What an alert tells.
    AlertKind, "kind", "ALERT_KIND_UNKNOWN";
    /// A member flags the seller, or one more does.
    NewFlag = 1, "new_flag";
    /// A flag is confirmed now, or confirmed again.
    Confirmed = 2, "confirmed";
    /// The seller or a member denies what is said.
    Disputed = 3, "disputed";
    /// Nobody flags the seller any more.
    Withdrawn = 4, "withdrawn";
    /// What confirmed the flag fell away; others stay.
    Weakened = 5, "weakened";
}

/// That the answer to a standing check has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Which watch.
    pub watch: WatchId,
    /// The watch's label.
    pub label: String,
    /// What it tells.
    pub kind: AlertKind,
    /// When it was raised.
    pub raised_at: Timestamp,
    /// What the seller was before.
    pub before: Standing,
    /// What the seller is now.
    pub after: Standing,
    /// A signal that bears on it, where there is one.
    pub signal: Option<SignalRef>,
    /// Code of why its receiver refused it; empty where it did not.
    pub refused: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_when() {
        use AlertKind::{Confirmed, Disputed, NewFlag, Weakened, Withdrawn};
        let standing = |verdict, members| Standing { verdict, members };
        let told =
            |before: (Verdict, u32), after: (Verdict, u32)| standing(after.0, after.1).news_after(standing(before.0, before.1));
        assert_eq!(told((Verdict::NoneKnown, 0), (Verdict::Alleged, 1)), Some(NewFlag));
        assert_eq!(told((Verdict::Alleged, 1), (Verdict::Alleged, 2)), Some(NewFlag), "another member");
        assert_eq!(told((Verdict::Alleged, 2), (Verdict::Alleged, 1)), None);
        assert_eq!(told((Verdict::Alleged, 1), (Verdict::Confirmed, 1)), Some(Confirmed));
        assert_eq!(told((Verdict::Confirmed, 1), (Verdict::RepeatOffender, 2)), Some(Confirmed));
        assert_eq!(told((Verdict::RepeatOffender, 2), (Verdict::Alleged, 2)), Some(Weakened));
        assert_eq!(told((Verdict::Confirmed, 1), (Verdict::Disputed, 0)), Some(Disputed));
        assert_eq!(told((Verdict::Disputed, 0), (Verdict::Confirmed, 1)), Some(Confirmed), "upheld");
        assert_eq!(told((Verdict::Disputed, 0), (Verdict::NoneKnown, 0)), Some(Withdrawn));
        assert_eq!(told((Verdict::NoneKnown, 0), (Verdict::KnownGood, 0)), None);
    }

    #[test]
    fn a_number_has_one_name() {
        assert_eq!("wat_17".parse(), Ok(WatchId(17)));
        assert_eq!(AlertId(3).to_string(), "alr_3");
        for wrong in ["17", "alr_17", "wat_", "wat_-1", "wat_1x"] {
            assert_eq!(wrong.parse::<WatchId>().map_err(|error| error.code), Err("WATCH_INVALID"), "{wrong}");
        }
    }
}
