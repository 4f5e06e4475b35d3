use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use url::Url;

use crate::domain::{AllianceName, Allowance, ClientName, FieldError, MemberId, Role};
use crate::rpc::Grant;

/// Who among the member's clients may do what. A client that is not on it may do nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<Access>", into = "Vec<Access>")]
pub struct ClientRoles(pub BTreeMap<ClientName, Grant>);

/// One `[[clients.access]]` of the file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Access {
    name: ClientName,
    roles: BTreeSet<Role>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    calls_per_second: Option<NonZeroU32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rows_per_second: Option<NonZeroU32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rows_per_day: Option<NonZeroU32>,
}

impl TryFrom<Vec<Access>> for ClientRoles {
    type Error = String;

    fn try_from(entries: Vec<Access>) -> Result<Self, String> {
        let mut list = BTreeMap::new();
        for Access { name, roles, calls_per_second, rows_per_second, rows_per_day } in entries {
            if roles.is_empty() {
                return Err(format!("client `{name}` has no role; give it one, or leave it out"));
            }
            if list.contains_key(&name) {
                return Err(format!("client `{name}` stands here twice; give all its roles in one place"));
            }
            list.insert(name, Grant { roles, allowance: Allowance { calls_per_second, rows_per_second, rows_per_day } });
        }
        Ok(Self(list))
    }
}

impl From<ClientRoles> for Vec<Access> {
    fn from(list: ClientRoles) -> Self {
        let entry = |(name, Grant { roles, allowance })| {
            let Allowance { calls_per_second, rows_per_second, rows_per_day } = allowance;
            Access { name, roles, calls_per_second, rows_per_second, rows_per_day }
        };
        list.0.into_iter().map(entry).collect()
    }
}

/// An `https` URL with a host, without credentials and fragment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HttpsUrl(Url);

impl HttpsUrl {
    /// The URL.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.0
    }
}

impl TryFrom<String> for HttpsUrl {
    type Error = FieldError;

    fn try_from(text: String) -> Result<Self, FieldError> {
        let good = |url: &Url| {
            url.scheme() == "https" && url.username().is_empty() && url.password().is_none() && url.fragment().is_none()
        };
        Url::parse(&text)
            .ok()
            .filter(good)
            .map(Self)
            .ok_or_else(|| FieldError::new("URL_INVALID", "url", "give an https URL without user, password and fragment"))
    }
}

impl From<HttpsUrl> for String {
    fn from(url: HttpsUrl) -> Self {
        url.0.into()
    }
}

/// An address and port that only this machine reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LoopbackAddress(SocketAddr);

impl LoopbackAddress {
    /// Where to listen.
    #[must_use]
    pub const fn address(self) -> SocketAddr {
        self.0
    }
}

impl TryFrom<String> for LoopbackAddress {
    type Error = FieldError;

    fn try_from(text: String) -> Result<Self, FieldError> {
        let advice = "give a loopback address and a port, such as 127.0.0.1:7402: what is told there is neither encrypted nor \
                      restricted; have a collector on this machine pass it on";
        let address: Option<SocketAddr> = text.parse().ok();
        let loopback = address.filter(|address| address.ip().is_loopback());
        loopback.map(Self).ok_or_else(|| FieldError::new("ADDRESS_NOT_LOOPBACK", "address", advice))
    }
}

impl From<LoopbackAddress> for String {
    fn from(address: LoopbackAddress) -> Self {
        address.0.to_string()
    }
}

/// Where a node listens, as others dial it: `host:port`, the host a DNS name, an IPv4 address or an IPv6 address in brackets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address(String);

impl Address {
    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Address {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let parts = text.rsplit_once(':');
        let good = |(host, port): (&str, &str)| {
            port.bytes().all(|b| b.is_ascii_digit())
                && port.parse::<u16>().is_ok_and(|port| port > 0)
                && url::Host::parse(host).is_ok_and(|parsed| parsed.to_string() == host.to_ascii_lowercase())
        };
        if parts.is_some_and(good) {
            return Ok(Self(text.to_owned()));
        }
        Err(FieldError::new("ADDRESS_INVALID", "address", "give host:port, such as node.acme.example:7400"))
    }
}

impl TryFrom<String> for Address {
    type Error = FieldError;

    fn try_from(text: String) -> Result<Self, FieldError> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name that TLS verifies for a node, whatever address was dialled: `<member>.<alliance>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeName {
    /// Whose node it is.
    pub member: MemberId,
    /// In which alliance.
    pub alliance: AllianceName,
}

impl FromStr for NodeName {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let parts = text.split_once('.').and_then(|(m, a)| Some(Self { member: m.parse().ok()?, alliance: a.parse().ok()? }));
        parts.ok_or_else(|| {
            FieldError::new("NODE_NAME_INVALID", "server_name", "give <member>.<alliance>, such as acme.alliance.example")
        })
    }
}

impl TryFrom<String> for NodeName {
    type Error = FieldError;

    fn try_from(text: String) -> Result<Self, FieldError> {
        text.parse()
    }
}

impl From<NodeName> for String {
    fn from(name: NodeName) -> Self {
        name.to_string()
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.alliance.node_dns_name(&self.member))
    }
}

/// A part of a whole: 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Share(f64);

impl Share {
    /// One in ten.
    pub const TENTH: Self = Self(0.1);

    /// As a number from 0 to 1.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }

    /// Whether `part` of `whole` is more than this share.
    #[must_use]
    pub fn is_exceeded_by(self, part: u64, whole: u64) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "a share is no exact thing, and counts stay far below 2^53")]
        let (part, whole) = (part as f64, whole as f64);
        part > whole * self.0
    }
}

impl TryFrom<f64> for Share {
    type Error = &'static str;

    fn try_from(share: f64) -> Result<Self, &'static str> {
        if (0.0..=1.0).contains(&share) { Ok(Self(share)) } else { Err("give a number from 0 to 1") }
    }
}

impl From<Share> for f64 {
    fn from(share: Share) -> Self {
        share.0
    }
}

/// Reads text of a type whose error names a field of another place; the place and name in the file are those that count here.
pub(super) fn sentence<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<String, Error = FieldError>,
{
    T::try_from(String::deserialize(deserializer)?).map_err(|error| D::Error::custom(error.message))
}
