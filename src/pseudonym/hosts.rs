use std::collections::HashMap;
use std::sync::LazyLock;

use crate::domain::{FieldError, Roster};

use super::domain::host_of;

/// Why a domain is nobody's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HostClass {
    /// A marketplace, social network or other service that has accounts.
    Platform,
    /// A site builder, file host, shortener or mail provider.
    Shared,
}

/// The domains that are nobody's identity: a pinned list and what the roster adds.
///
/// They decide what is accepted and never what a canonical form is, so two members with rosters of different age still
/// agree on every form that both accept.
#[derive(Debug)]
pub(super) struct Hosts {
    of_roster: HashMap<String, HostClass>,
}

/// The pinned list. Names that are public suffixes stand in no such list: below them each name is one owner's, and they
/// themselves are refused as suffixes.
const LIST: &str = include_str!("shared_hosts.txt");

static BUILT_IN: LazyLock<HashMap<&'static str, HostClass>> = LazyLock::new(|| built_in().collect());

/// Every domain of the pinned list with its class, in the order of the file.
pub(super) fn built_in() -> impl Iterator<Item = (&'static str, HostClass)> {
    let mut class = HostClass::Platform;
    LIST.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).filter_map(move |line| {
        match line {
            "[platform]" => class = HostClass::Platform,
            "[shared host]" => class = HostClass::Shared,
            domain => return Some((domain, class)),
        }
        None
    })
}

impl Hosts {
    /// The pinned list with the platforms' domains and shared hosts of `roster`.
    pub(super) fn new(roster: &Roster) -> Result<Self, FieldError> {
        let mut of_roster = HashMap::new();
        for domain in &roster.policy.shared_hosts {
            of_roster.insert(listed(domain, "policy.shared_hosts")?, HostClass::Shared);
        }
        for platform in &roster.platforms {
            for domain in &platform.domains {
                of_roster.insert(listed(domain, &format!("platforms.{}.domains", platform.id))?, HostClass::Platform);
            }
        }
        Ok(Self { of_roster })
    }

    /// The class of a host, by its own name or a name above it, up to and including its registrable domain. The roster's
    /// word stands before the pinned list's.
    pub(super) fn class(&self, host: &str, registrable: &str) -> Option<HostClass> {
        let mut name = host;
        loop {
            if let Some(&class) = self.of_roster.get(name).or_else(|| BUILT_IN.get(name)) {
                return Some(class);
            }
            match name.split_once('.') {
                Some((_, parent)) if parent.len() >= registrable.len() => name = parent,
                _ => return None,
            }
        }
    }
}

fn listed(domain: &str, field: &str) -> Result<String, FieldError> {
    host_of(domain.trim()).map_err(|_| {
        FieldError::new("ROSTER_DOMAIN_INVALID", field, "an entry is no domain; list domains such as shop.example")
    })
}
