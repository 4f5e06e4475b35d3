//! The methods of all listeners, as the descriptors name them.

use std::collections::HashMap;
use std::sync::Arc;

use prost::Message as _;
use prost_types::FileDescriptorSet;

use super::proto::DESCRIPTORS;

/// Methods whose requests are rows of one stream.
const ROWS: [&str; 2] = ["SignalService/SubmitSignals", "ScreeningService/CheckSellers"];
/// Methods whose one request may be answered with megabytes, or after reading many.
const LARGE: [&str; 18] = [
    "AuditService/ListAudit",
    "CaseService/ListCases",
    "KeyService/ListUsage",
    "LeadService/ExportLead",
    "LeadService/FindLeads",
    "LeadService/GetFunnel",
    "LeadService/GetRing",
    "LeadService/ListLeads",
    "LeadService/OpenLead",
    "NodeService/GetStatus",
    "PeerService/GetEntries",
    "PeerService/GetRoster",
    "PeerService/ListCheckpoints",
    "ScreeningService/ListOverrides",
    "SignalService/ListErasures",
    "SignalService/ListSignals",
    "WatchService/ListAlerts",
    "WatchService/ListWatches",
];
/// Methods whose one request is a row.
const SINGLE_ROWS: [&str; 2] = ["SignalService/SubmitSignal", "ScreeningService/CheckSeller"];
/// Methods that cost more than a look into memory, in units of one that does not.
const COSTS: [(&str, u32); 6] = [
    ("PeerService/ListCheckpoints", 10),
    ("PeerService/GetFrontier", 10),
    ("PeerService/GetEntries", 10),
    ("PeerService/FollowFeeds", 10),
    ("KeyHolderService/Evaluate", 5),
    ("KeyCeremonyService/GetCeremony", 10),
];

/// How a method is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// One request, one answer.
    Unary,
    /// A stream of rows with a stream of what becomes of each.
    Rows,
    /// One request, an answer that may be large.
    Large,
    /// A stream that stands for as long as the caller likes.
    Standing,
}

/// A method of some listener.
#[derive(Debug, Clone)]
pub(super) struct Method {
    /// `Service/Method`; `other` for one that no listener of ours has.
    pub(super) name: Arc<str>,
    pub(super) kind: Kind,
    pub(super) cost: u32,
    /// Its one request is a row.
    pub(super) is_row: bool,
    /// Its request is a stream, of which more may come at any time.
    pub(super) is_streamed: bool,
}

/// All of them, by path.
#[derive(Debug, Clone)]
pub(super) struct Methods {
    known: Arc<HashMap<String, Method>>,
    other: Method,
}

impl Methods {
    pub(super) fn of_descriptors() -> Self {
        let files = FileDescriptorSet::decode(DESCRIPTORS).unwrap_or_default().file;
        let services = files.iter().flat_map(|file| file.service.iter().map(move |service| (file.package(), service)));
        let methods =
            services.flat_map(|(package, service)| service.method.iter().map(move |method| (package, service, method)));
        let named = methods.map(|(package, service, method)| {
            let name = format!("{}/{}", service.name(), method.name());
            let kind = match method.client_streaming() || method.server_streaming() {
                _ if LARGE.contains(&name.as_str()) => Kind::Large,
                true if ROWS.contains(&name.as_str()) => Kind::Rows,
                true => Kind::Standing,
                false => Kind::Unary,
            };
            let cost = COSTS.iter().find(|(of, _)| *of == name).map_or(1, |(_, cost)| *cost);
            let is_row = SINGLE_ROWS.contains(&name.as_str());
            let is_streamed = method.client_streaming();
            (format!("/{package}.{name}"), Method { name: name.into(), kind, cost, is_row, is_streamed })
        });
        Self {
            known: Arc::new(named.collect()),
            other: Method { name: "other".into(), kind: Kind::Standing, cost: 1, is_row: false, is_streamed: true },
        }
    }

    /// The method at this path. What a caller makes up has no name of its own.
    pub(super) fn at(&self, path: &str) -> &Method {
        self.known.get(path).unwrap_or(&self.other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_methods_is_of_methods_that_there_are() {
        let methods = Methods::of_descriptors();
        let named =
            |name: &str| methods.known.values().find(|method| &*method.name == name).unwrap_or_else(|| panic!("{name}"));
        assert!(ROWS.iter().all(|name| named(name).kind == Kind::Rows));
        assert!(LARGE.iter().all(|name| named(name).kind == Kind::Large));
        assert!(SINGLE_ROWS.iter().all(|name| named(name).is_row && named(name).kind == Kind::Unary));
        assert!(COSTS.iter().all(|(name, cost)| named(name).cost == *cost));
        assert_eq!(named("PeerService/FollowFeeds").kind, Kind::Standing);
        assert_eq!(methods.at("/countermark.v1.ScreeningService/CheckSeller").kind, Kind::Unary);
        assert_eq!(&*methods.at("/made.Up/Name").name, "other");
    }
}
