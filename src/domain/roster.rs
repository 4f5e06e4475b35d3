use std::collections::BTreeSet;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use super::limits::{MAX_ACTIVE_KEYS, MAX_GROUPS, MAX_LIVE_KEYS, MAX_MEMBERS};
use super::names::WHOLE_ALLIANCE;
use super::vocabulary::vocabulary;
use super::{
    AllianceName, Audience, FeedId, FieldError, GroupName, IdentifierKind, KeyId, KeyState, MemberId, PlatformId, Policy,
    Sharing, Strength,
};

/// The list of members, groups, keys and policy that the secretariat signs. Its text is TOML; see `Roster::FORMAT`.
///
/// A member is never taken off the list: expelled members stay, so that their feeds remain readable as what they were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roster {
    /// Layout of the document. A node refuses a newer one rather than ignore what it does not know.
    pub format: u32,
    /// The alliance.
    pub alliance: AllianceName,
    /// Grows with every change; a node never goes back.
    pub serial: u64,
    /// When the secretariat signed it, RFC 3339.
    pub issued_at: String,
    /// What holds for all.
    #[serde(default)]
    pub policy: Policy,
    /// Every member there ever was.
    #[serde(default)]
    pub members: Vec<Member>,
    /// Groups of members that share with each other only.
    #[serde(default)]
    pub groups: Vec<Group>,
    /// Keys of the pseudonyms.
    #[serde(default)]
    pub keys: Vec<RosterKey>,
    /// Platforms that marketplace accounts belong to.
    #[serde(default)]
    pub platforms: Vec<Platform>,
}

/// One member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its name in feeds and certificates.
    pub id: MemberId,
    /// What it is.
    pub kind: MemberKind,
    /// Its name for people.
    pub name: String,
    /// Whether it takes part.
    pub state: MemberState,
    /// `host:port` of its peer listener.
    pub address: String,
    /// With it the member signs its feeds.
    pub feed_key: FeedKey,
}

vocabulary! {
    /// What a member is.
    MemberKind, "kind", "MEMBER_KIND_UNKNOWN";
    /// Owner of rights.
    Brand = 1, "brand";
    /// Marketplace or other network.
    Platform = 2, "platform";
    /// Customs, police, a market regulator.
    Authority = 3, "authority";
}

vocabulary! {
    /// Whether a member takes part.
    MemberState, "state", "MEMBER_STATE_UNKNOWN";
    /// It does.
    Active = 1, "active";
    /// Its connections are refused and its signals do not count.
    Expelled = 2, "expelled";
}

/// A public Ed25519 key (RFC 8032), in text as standard base64.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FeedKey(pub [u8; 32]);

impl TryFrom<String> for FeedKey {
    type Error = FieldError;

    fn try_from(text: String) -> Result<Self, FieldError> {
        let bytes = BASE64.decode(&text).ok().and_then(|b| b.try_into().ok());
        bytes
            .map(Self)
            .ok_or_else(|| FieldError::new("FEED_KEY_INVALID", "feed_key", "give the 32 bytes of an Ed25519 key in base64"))
    }
}

impl From<FeedKey> for String {
    fn from(key: FeedKey) -> Self {
        BASE64.encode(key.0)
    }
}

impl fmt::Debug for FeedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FeedKey({})", BASE64.encode(self.0))
    }
}

/// Members that share feeds with each other only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Its name, which is the audience of its feeds.
    pub name: GroupName,
    /// Who belongs to it.
    pub members: BTreeSet<MemberId>,
}

/// A key of the pseudonyms. The secret itself is never in the roster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RosterKey {
    /// Its name in entries.
    pub id: KeyId,
    /// How pseudonyms are made under it.
    pub scheme: Scheme,
    /// What it is good for now.
    pub state: KeyState,
    /// Of a secret that all members hold eight bytes in hexadecimal by which a node recognises the right one; they say nothing about
    /// it. Empty for a shared key.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub check: String,
    /// Of a shared key who holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sharing: Option<Sharing>,
}

vocabulary! {
    /// How pseudonyms are made.
    Scheme, "scheme", "SCHEME_UNKNOWN";
    /// One secret that all members hold.
    HmacSha256 = 1, "hmac-sha256";
    /// A secret that is shared among holders, of which some together answer what a node asks without seeing it.
    ToprfRistretto255 = 2, "toprf-ristretto255";
}

/// A platform that marketplace accounts belong to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Platform {
    /// Its name in `platform:id`.
    pub id: PlatformId,
    /// Whether upper and lower case differ in its account ids.
    #[serde(default)]
    pub case_sensitive: bool,
    /// Its own domains, which are nobody's identity.
    #[serde(default)]
    pub domains: BTreeSet<String>,
}

impl Roster {
    /// The layout that this version reads and writes.
    pub const FORMAT: u32 = 1;

    /// The first one of an alliance, which names nobody yet, under the usual policy.
    #[must_use]
    pub fn first(alliance: AllianceName, issued_at: String) -> Self {
        Self {
            format: Self::FORMAT,
            alliance,
            serial: 1,
            issued_at,
            policy: Policy::default(),
            members: Vec::new(),
            groups: Vec::new(),
            keys: Vec::new(),
            platforms: Vec::new(),
        }
    }

    /// Checks what holds between the parts: no name twice, groups of known members, bounded numbers.
    ///
    /// # Errors
    /// The first fault, with its place.
    pub fn validate(&self) -> Result<(), FieldError> {
        if self.format != Self::FORMAT {
            return Err(FieldError::new("ROSTER_FORMAT", "format", "this roster is of a newer format; upgrade this node"));
        }
        if self.serial == 0 {
            return Err(FieldError::new("ROSTER_SERIAL", "serial", "serials start at 1"));
        }
        if self.members.len() > MAX_MEMBERS || self.groups.len() > MAX_GROUPS {
            return Err(FieldError::new("ROSTER_TOO_LARGE", "members", "at most 5000 members and 1000 groups"));
        }
        unique("members", self.members.iter().map(|m| &m.id))?;
        unique("groups", self.groups.iter().map(|g| &g.name))?;
        unique("keys", self.keys.iter().map(|k| &k.id))?;
        unique("platforms", self.platforms.iter().map(|p| &p.id))?;
        for group in &self.groups {
            if group.name.as_str() == WHOLE_ALLIANCE {
                return Err(FieldError::new(
                    "GROUP_INVALID",
                    "groups",
                    "`all` is the whole alliance; give the group another name",
                ));
            }
            if group.members.is_empty() || group.members.iter().any(|m| self.member(m).is_none()) {
                return Err(FieldError::new(
                    "GROUP_INVALID",
                    format!("groups.{}", group.name),
                    "a group has members of this roster only, and at least one",
                ));
            }
        }
        if self.keys.iter().filter(|k| k.state == KeyState::Active).count() > MAX_ACTIVE_KEYS {
            return Err(FieldError::new("ROSTER_TOO_LARGE", "keys", "at most 4 keys are active at once"));
        }
        if self.keys.iter().filter(|k| k.state.is_in_use()).count() > MAX_LIVE_KEYS {
            return Err(FieldError::new("ROSTER_TOO_LARGE", "keys", "at most 8 keys are active or retiring at once"));
        }
        self.validate_texts()?;
        self.policy.validate().map_err(|error| error.inside("policy"))
    }

    /// What nodes read out of texts only when they need it, and must not find unreadable then.
    fn validate_texts(&self) -> Result<(), FieldError> {
        if self.issued_at.parse::<jiff::Timestamp>().is_err() {
            return Err(FieldError::new(
                "ROSTER_ISSUED_AT",
                "issued_at",
                "give an instant of RFC 3339, such as 2026-11-22T00:00:00Z",
            ));
        }
        if let Some(member) = self.members.iter().find(|m| !m.address.is_empty() && !is_address(&m.address)) {
            let field = format!("members.{}.address", member.id);
            return Err(FieldError::new("ROSTER_ADDRESS", field, "give host:port, or leave it empty where no node is reached"));
        }
        self.keys.iter().try_for_each(|key| self.validate_key(key).map_err(|error| error.inside(format!("keys.{}", key.id))))
    }

    fn validate_key(&self, key: &RosterKey) -> Result<(), FieldError> {
        let is_check = |text: &str| text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let unfit = |field: &str, message: &'static str| Err(FieldError::new("ROSTER_KEY_SCHEME", field, message));
        match (key.scheme, &key.sharing) {
            (Scheme::HmacSha256, None) if is_check(&key.check) => Ok(()),
            (Scheme::HmacSha256, None) => {
                Err(FieldError::new("ROSTER_KEY_CHECK", "check", "give 16 hexadecimal digits in lower case"))
            }
            (Scheme::HmacSha256, Some(_)) => unfit("sharing", "a secret that all members hold is not shared among holders"),
            (Scheme::ToprfRistretto255, None) => unfit("sharing", "name the holders of a shared key"),
            (Scheme::ToprfRistretto255, Some(_)) if !key.check.is_empty() => unfit("check", "leave it out of a shared key"),
            (Scheme::ToprfRistretto255, Some(sharing)) => {
                sharing.validate(key.state, |member| self.member(member).is_some()).map_err(|error| error.inside("sharing"))
            }
        }
    }

    /// The member with this id, active or expelled.
    #[must_use]
    pub fn member(&self, id: &MemberId) -> Option<&Member> {
        self.members.iter().find(|m| &m.id == id)
    }

    /// Whether `id` is a member that takes part.
    #[must_use]
    pub fn is_active(&self, id: &MemberId) -> bool {
        self.member(id).is_some_and(|m| m.state == MemberState::Active)
    }

    /// Whether `reader` may read what is shared with `audience`. False for an unknown group, and for anyone not active.
    #[must_use]
    pub fn may_read(&self, reader: &MemberId, audience: &Audience) -> bool {
        self.is_active(reader)
            && match audience {
                Audience::Alliance => true,
                Audience::Group(name) => self.groups.iter().any(|g| &g.name == name && g.members.contains(reader)),
            }
    }

    /// Whether `reader` may read `feed`: it is in the audience, and so is the feed's member.
    #[must_use]
    pub fn may_read_feed(&self, reader: &MemberId, feed: &FeedId) -> bool {
        self.may_read(reader, &feed.audience) && self.writes_to(&feed.member, &feed.audience)
    }

    /// Whether `member`, active or expelled, is one whose feed for `audience` there can be.
    #[must_use]
    pub fn writes_to(&self, member: &MemberId, audience: &Audience) -> bool {
        self.member(member).is_some()
            && match audience {
                Audience::Alliance => true,
                Audience::Group(name) => self.groups.iter().any(|g| &g.name == name && g.members.contains(member)),
            }
    }

    /// With what the feed is signed; `None` where there can be no such feed.
    #[must_use]
    pub fn feed_key(&self, feed: &FeedId) -> Option<FeedKey> {
        let member = self.member(&feed.member).filter(|_| self.writes_to(&feed.member, &feed.audience));
        member.map(|member| member.feed_key)
    }

    /// Every feed that `reader` may read, own feeds and those of expelled members included, in order.
    #[must_use]
    pub fn readable_feeds(&self, reader: &MemberId) -> BTreeSet<FeedId> {
        if !self.is_active(reader) {
            return BTreeSet::new();
        }
        let of_alliance = self.members.iter().map(|m| FeedId { member: m.id.clone(), audience: Audience::Alliance });
        let of_groups =
            self.groups.iter().filter(|g| g.members.contains(reader)).flat_map(|g| {
                g.members.iter().map(|m| FeedId { member: m.clone(), audience: Audience::Group(g.name.clone()) })
            });
        of_alliance.chain(of_groups).collect()
    }

    /// What a match by an identifier of this kind means.
    #[must_use]
    pub fn strength(&self, kind: IdentifierKind) -> Strength {
        if self.policy.weak_kinds.contains(&kind) { Strength::Weak } else { Strength::Strong }
    }
}

/// `host:port`, without blanks.
fn is_address(text: &str) -> bool {
    let host_and_port = text.rsplit_once(':');
    let no_blank = text.bytes().all(|b| b.is_ascii_graphic());
    host_and_port.is_some_and(|(host, port)| !host.is_empty() && no_blank && port.parse::<u16>().is_ok_and(|port| port > 0))
}

fn unique<T: Ord + fmt::Display>(field: &'static str, names: impl Iterator<Item = T>) -> Result<(), FieldError> {
    let mut seen = BTreeSet::new();
    for name in names {
        let text = name.to_string();
        if !seen.insert(name) {
            return Err(FieldError::new("ROSTER_DUPLICATE", format!("{field}.{text}"), "each name stands once"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roster() -> Roster {
        let member = |id: &str, state| Member {
            id: id.parse().expect("valid"),
            kind: MemberKind::Brand,
            name: id.into(),
            state,
            address: "127.0.0.1:1".into(),
            feed_key: FeedKey([0; 32]),
        };
        Roster {
            members: vec![
                member("a", MemberState::Active),
                member("b", MemberState::Active),
                member("c", MemberState::Active),
                member("gone", MemberState::Expelled),
            ],
            groups: vec![Group {
                name: "luxury".parse().expect("valid"),
                members: ["a", "b", "gone"].map(|m| m.parse().expect("valid")).into(),
            }],
            ..Roster::first("alliance.example".parse().expect("valid"), "2026-11-22T00:00:00Z".into())
        }
    }

    fn id(text: &str) -> MemberId {
        text.parse().expect("valid")
    }

    fn feed(text: &str) -> FeedId {
        text.parse().expect("valid")
    }

    #[test]
    fn a_feed_is_read_by_its_audience_only() {
        let r = roster();
        assert!(r.may_read_feed(&id("b"), &feed("a/luxury")));
        assert!(!r.may_read_feed(&id("c"), &feed("a/luxury")), "not of the group");
        assert!(!r.may_read_feed(&id("a"), &feed("c/luxury")), "a feed that cannot be");
        assert!(!r.may_read_feed(&id("gone"), &feed("a/all")), "expelled");
        assert!(!r.may_read_feed(&id("gone"), &feed("a/luxury")), "expelled");
        assert!(!r.may_read_feed(&id("a"), &feed("a/unknown")), "unknown audience");
        assert!(!r.may_read_feed(&id("stranger"), &feed("a/all")));
        assert_eq!(r.readable_feeds(&id("c")).len(), 4);
        assert_eq!(r.readable_feeds(&id("a")).len(), 7);
        assert!(r.readable_feeds(&id("gone")).is_empty());
    }

    #[test]
    fn a_scheme_reads_back_its_name() {
        for scheme in Scheme::ALL {
            assert_eq!(scheme.as_str().parse(), Ok(*scheme));
        }
    }

    #[test]
    fn a_contradictory_roster_is_refused() {
        let with = |change: &dyn Fn(&mut Roster)| {
            let mut r = roster();
            change(&mut r);
            r.validate().expect_err("refused").code
        };
        assert_eq!(roster().validate(), Ok(()));
        assert_eq!(with(&|r| r.members.push(r.members[0].clone())), "ROSTER_DUPLICATE");
        assert_eq!(with(&|r| r.groups[0].name = "all".parse().expect("a slug")), "GROUP_INVALID");
        assert_eq!(with(&|r| r.groups[0].members.clear()), "GROUP_INVALID");
        assert_eq!(with(&|r| r.format = 2), "ROSTER_FORMAT");
        assert_eq!(with(&|r| r.serial = 0), "ROSTER_SERIAL");
        assert_eq!(with(&|r| r.issued_at = "yesterday".into()), "ROSTER_ISSUED_AT");
        for address in ["nowhere", ":7400", "a host:7400", "host:0", "host:70000"] {
            assert_eq!(with(&|r| r.members[0].address = address.into()), "ROSTER_ADDRESS", "{address}");
        }
        let key = |n: usize| RosterKey {
            id: format!("k{n}").parse().expect("valid"),
            scheme: Scheme::HmacSha256,
            state: KeyState::Retiring,
            check: "00".repeat(8),
            sharing: None,
        };
        assert_eq!(with(&|r| r.keys = vec![RosterKey { scheme: Scheme::ToprfRistretto255, ..key(1) }]), "ROSTER_KEY_SCHEME");
        assert_eq!(with(&|r| r.keys = vec![RosterKey { check: "0".into(), ..key(1) }]), "ROSTER_KEY_CHECK");
        assert_eq!(with(&|r| r.keys = (0..9).map(key).collect()), "ROSTER_TOO_LARGE");
    }
}
