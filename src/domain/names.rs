use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::FieldError;
use super::limits::{MAX_ALLIANCE_CHARS, MAX_SLUG_CHARS};

fn is_slug(text: &str) -> bool {
    (1..=MAX_SLUG_CHARS).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

macro_rules! slug {
    ($(#[$doc:meta])* $name:ident, $field:literal, $code:literal) => {
        $(#[$doc])*
        ///
        /// 1 to 40 characters of `a` to `z`, `0` to `9` and `-`.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = FieldError;

            fn from_str(text: &str) -> Result<Self, FieldError> {
                if is_slug(text) {
                    return Ok(Self(text.into()));
                }
                Err(FieldError::new($code, $field, "give 1 to 40 characters of a-z, 0-9 and -"))
            }
        }

        impl TryFrom<String> for $name {
            type Error = FieldError;

            fn try_from(text: String) -> Result<Self, FieldError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }
    };
}

slug!(
    /// A member of the alliance.
    MemberId, "member", "MEMBER_INVALID"
);
slug!(
    /// A group of members that share feeds with each other only. Never `all`.
    GroupName, "group", "GROUP_INVALID"
);
slug!(
    /// A marketplace or other platform of the roster.
    PlatformId, "platform", "PLATFORM_INVALID"
);
slug!(
    /// A client of a member's node: a program or a person of its staff.
    ClientName, "client", "CLIENT_INVALID"
);
slug!(
    /// Id of a pseudonym key in the roster.
    KeyId, "key", "KEY_INVALID"
);

/// The alliance's DNS name, such as `alliance.example`: lower case, at least two labels, at most 100 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AllianceName(Arc<str>);

impl AllianceName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The DNS name that TLS verifies for a member's node, whatever address was dialled: `<member>.<alliance>`.
    #[must_use]
    pub fn node_dns_name(&self, member: &MemberId) -> String {
        format!("{member}.{}", self.0)
    }
}

impl FromStr for AllianceName {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let label = |l: &str| is_slug(l) && !l.starts_with('-') && !l.ends_with('-');
        if text.len() <= MAX_ALLIANCE_CHARS && text.contains('.') && text.split('.').all(label) {
            return Ok(Self(text.into()));
        }
        Err(FieldError::new(
            "ALLIANCE_INVALID",
            "alliance",
            "give a lower-case DNS name of two labels or more, such as alliance.example",
        ))
    }
}

impl TryFrom<String> for AllianceName {
    type Error = FieldError;

    fn try_from(text: String) -> Result<Self, FieldError> {
        text.parse()
    }
}

impl From<AllianceName> for String {
    fn from(name: AllianceName) -> Self {
        name.0.as_ref().to_owned()
    }
}

impl fmt::Display for AllianceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who may read a feed: the whole alliance, written `all`, or a group of the roster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Audience {
    /// Every active member.
    Alliance,
    /// The members of one group.
    Group(GroupName),
}

/// How [`Audience::Alliance`] is written; no group may have this name.
pub(super) const WHOLE_ALLIANCE: &str = "all";

impl Audience {
    /// `all` or the group's name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Alliance => WHOLE_ALLIANCE,
            Self::Group(name) => name.as_str(),
        }
    }
}

impl FromStr for Audience {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        if text == WHOLE_ALLIANCE {
            return Ok(Self::Alliance);
        }
        text.parse().map(Self::Group).map_err(|_| {
            FieldError::new(
                "AUDIENCE_INVALID",
                "audience",
                "give `all` for the whole alliance or the name of a group of yours; an empty audience is never widened",
            )
        })
    }
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Position of an entry in its feed, from 0; as a size, the position of the next entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seq(u64);

impl Seq {
    /// The start of a feed; the size of an empty one.
    pub const ZERO: Self = Self(0);

    /// The position `n`.
    #[must_use]
    pub const fn new(n: u64) -> Self {
        Self(n)
    }

    /// As an integer.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// `n` entries further. Saturates: no feed reaches 2^64 entries.
    #[must_use]
    pub const fn plus(self, n: usize) -> Self {
        Self(self.0.saturating_add(n as u64))
    }

    /// Entries from `earlier` to here; 0 where `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One member's entries for one audience, within the node's alliance. Written `member/audience`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FeedId {
    /// Who signs it.
    pub member: MemberId,
    /// Who may read it.
    pub audience: Audience,
}

impl FeedId {
    /// The origin line of the feed's checkpoints (C2SP tlog-checkpoint): `alliance/member/audience`.
    #[must_use]
    pub fn origin(&self, alliance: &AllianceName) -> String {
        format!("{alliance}/{self}")
    }
}

impl fmt::Display for FeedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.member, self.audience)
    }
}

impl FromStr for FeedId {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let invalid = || FieldError::new("FEED_INVALID", "feed", "give member/audience, such as acme/all");
        let (member, audience) = text.split_once('/').ok_or_else(invalid)?;
        Ok(Self { member: member.parse().map_err(|_| invalid())?, audience: audience.parse().map_err(|_| invalid())? })
    }
}

/// The name of a signal in every node: its feed and its position there. Written `member/audience/sequence`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignalRef {
    /// The feed it stands in.
    pub feed: FeedId,
    /// Where it stands there.
    pub seq: Seq,
}

impl fmt::Display for SignalRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.feed, self.seq)
    }
}

impl FromStr for SignalRef {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let invalid = || FieldError::new("SIGNAL_INVALID", "signal", "give member/audience/sequence, such as acme/all/17");
        let (feed, seq) = text.rsplit_once('/').ok_or_else(invalid)?;
        let canonical = seq == "0" || (!seq.starts_with('0') && seq.bytes().all(|b| b.is_ascii_digit()));
        if !canonical {
            return Err(invalid());
        }
        Ok(Self { feed: feed.parse().map_err(|_| invalid())?, seq: Seq(seq.parse().map_err(|_| invalid())?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_be_mistaken_are_refused() {
        for bad in ["", "Acme", "acme/all", "a b", "ä", &"a".repeat(41)] {
            assert!(bad.parse::<MemberId>().is_err(), "{bad}");
        }
        for bad in ["alliance", "Alliance.example", "a..b", "-a.b", ".a.b", ""] {
            assert!(bad.parse::<AllianceName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_empty_audience_is_an_error_and_not_everyone() {
        assert_eq!("".parse::<Audience>().expect_err("refused").code, "AUDIENCE_INVALID");
        assert_eq!("all".parse(), Ok(Audience::Alliance));
    }

    #[test]
    fn a_signal_has_one_spelling() {
        let signal: SignalRef = "acme/luxury/17".parse().expect("valid");
        assert_eq!(signal.to_string(), "acme/luxury/17");
        for bad in ["acme/luxury/017", "acme/luxury/+1", "acme/luxury/", "acme/17", "acme//17", "acme/all/99999999999999999999"]
        {
            assert!(bad.parse::<SignalRef>().is_err(), "{bad}");
        }
    }
}
