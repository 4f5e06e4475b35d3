use url::Host;

use crate::domain::{FieldError, IdentifierKind};

use super::canonical::{invalid, refused};
use super::hosts::{HostClass, Hosts};

const KIND: IdentifierKind = IdentifierKind::Domain;

/// Why a text names no host of the DNS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HostFault {
    /// It is an IP address, in any of the ways that browsers read one.
    Address,
    /// It is nothing that the DNS could hold.
    Invalid,
}

/// The registrable domain of a host, as A-labels.
///
/// By the Public Suffix List with its private section: what `x.myshopify.com` sells is one store's. A TLD that the pinned
/// list does not have is read by the list's own default rule `*`, one label: new TLDs appear faster than nodes are
/// upgraded, nearly all of them register at the second level, and a name below no TLD at all matches nobody.
pub(super) fn canonical(value: &str, hosts: &Hosts) -> Result<String, FieldError> {
    let host = host_of(value).map_err(|fault| match fault {
        HostFault::Address => refused(
            KIND,
            "DOMAIN_IS_ADDRESS",
            "this is an IP address, which changes hands; give the domain name that leads to it",
        ),
        HostFault::Invalid => invalid(KIND, "this is no host name; give one domain such as shop.example, without blanks"),
    })?;
    let registrable = accepted(&host, hosts)?;
    Ok(registrable.to_owned())
}

/// The registrable domain of `host` if it can be a seller's identity.
pub(super) fn accepted<'h>(host: &'h str, hosts: &Hosts) -> Result<&'h str, FieldError> {
    let registrable = registrable(host).ok_or_else(|| {
        refused(
            KIND,
            "DOMAIN_IS_PUBLIC_SUFFIX",
            "this is a public suffix, below which anyone may register; give the seller's own domain in full",
        )
    })?;
    match hosts.class(host, registrable) {
        None => Ok(registrable),
        Some(HostClass::Platform) => Err(refused(
            KIND,
            "DOMAIN_IS_PLATFORM",
            "this is a platform's own domain, not a seller's; give the seller's account as marketplace_account or its page as url",
        )),
        Some(HostClass::Shared) => Err(refused(
            KIND,
            "DOMAIN_IS_SHARED_HOST",
            "this domain is shared by many, so it is nobody's identity; give the seller's page as url",
        )),
    }
}

/// The registrable domain of a host in A-labels; `None` where the host is itself a public suffix.
pub(super) fn registrable(host: &str) -> Option<&str> {
    psl::domain_str(host)
}

/// The host in what people and lists write: `https://user@www.shop.example:8443/path?query`, `*://*.shop.example/*`,
/// `shop.example.`.
///
/// Without a scheme an `@` is no login name but the sign of an e-mail address, whose domain may be its provider's: that is
/// not taken for a domain.
pub(super) fn host_of(text: &str) -> Result<String, HostFault> {
    let (authority, has_scheme) = match text.split_once("://") {
        Some((scheme, rest)) if !scheme.contains(['/', '?', '#']) => (rest, true),
        _ => (text.strip_prefix("//").unwrap_or(text), false),
    };
    let authority = authority.split(['/', '\\', '?', '#']).next().unwrap_or_default();
    let host = match authority.rsplit_once('@') {
        Some((_, host)) if has_scheme => host,
        Some(_) => return Err(HostFault::Invalid),
        None => authority,
    };
    let mut host = without_port(host)?;
    while let Some(rest) = host.strip_prefix("*.") {
        host = rest;
    }
    a_labels(host)
}

fn without_port(host: &str) -> Result<&str, HostFault> {
    if host.starts_with('[') || host.parse::<std::net::Ipv6Addr>().is_ok() {
        return Err(HostFault::Address);
    }
    match host.split_once(':') {
        None => Ok(host),
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => Ok(name),
        Some(_) => Err(HostFault::Invalid),
    }
}

/// A host name as lower-case A-labels (UTS-46, non-transitional, as WHATWG URL reads hosts), without the root's dot, with
/// the lengths of RFC 1035. Underscores pass: hosts below a store builder have them, though domains do not.
pub(super) fn a_labels(host: &str) -> Result<String, HostFault> {
    let name = match Host::parse(host) {
        Ok(Host::Domain(name)) => name,
        Ok(Host::Ipv4(_) | Host::Ipv6(_)) => return Err(HostFault::Address),
        Err(_) => return Err(HostFault::Invalid),
    };
    let name = name.strip_suffix('.').unwrap_or(&name);
    let label = |l: &str| (1..=63).contains(&l.len()) && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if name.len() <= 253 && name.contains('.') && name.split('.').all(label) {
        return Ok(name.to_owned());
    }
    Err(HostFault::Invalid)
}
