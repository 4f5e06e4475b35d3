//! `ring`: sellers who belong together.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::Environment;
use super::arguments::NodeArguments;
use super::check::SellerArguments;
use super::connection::Node;
use super::failure::{Failure, Outcome};
use super::goods::Goods;
use super::output::{Printer, Show, counted, lines, plain};
use super::thresholds::{Measured, ThresholdArguments};
use super::words;
use crate::domain::{Currency, SignalRef};
use crate::rpc::proto::lead_service_client::LeadServiceClient;
use crate::rpc::proto::{self, GetRingRequest, GetRingResponse};

const RING_HELP: &str = "\
Begins at the seller of a signal, or at identifiers, and goes from seller to seller by strong identifiers that they share. An
identifier on more sellers than the roster's policy says (hub_sellers) links nobody and is named as a hub: a forwarding agent, a
shared host, a placeholder.

Goods that several signals state (by one goods_reference, one digest of evidence, or because one was derived from the other) count
once, at the highest value. Disputed signals and parallel imports are left out of the sum.

JSON: {sellers: [{seller, depth, via: {seller, kind}, signals: [{signal, status, kinds, region, brand}]}], links: [{a, b, kind}],
hubs: [{kind, seller, count}], cut, goods: {total_minor, currency, stated: [{amount_minor, currency, without_rate}], goods,
repeated_signals, unvalued_signals, left_out_signals}, thresholds: [{threshold, met, total_minor, needed_minor, currency, marks,
needed_marks}]}.";

#[derive(Args)]
#[command(after_long_help = RING_HELP)]
pub(super) struct RingArguments {
    /// A signal of the seller, as member/audience/sequence.
    #[arg(long, value_name = "SIGNAL")]
    signal: Option<SignalRef>,
    #[command(flatten)]
    seller: SellerArguments,
    /// Country in which national phone numbers are read.
    #[arg(long, value_name = "COUNTRY")]
    region: Option<String>,
    /// How many links to go, 1 to 8.
    #[arg(long, value_name = "LINKS", default_value_t = 4)]
    depth: u32,
    /// How many sellers at most, 1 to 1000.
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    sellers: u32,
    /// What the goods are summed in, three letters of ISO 4217; the base of the alliance's rates where it is left out.
    #[arg(long, value_name = "CURRENCY")]
    currency: Option<Currency>,
    #[command(flatten)]
    thresholds: ThresholdArguments,
    /// Also write the ring as a graph for Graphviz.
    #[arg(long, value_name = "FILE")]
    graphviz: Option<PathBuf>,
    #[command(flatten)]
    node: NodeArguments,
}

pub(super) async fn run(
    arguments: RingArguments,
    environment: &Environment,
    printer: &mut Printer,
) -> Result<Outcome, Failure> {
    let identifiers = arguments.seller.identifiers(arguments.region.as_deref().unwrap_or_default());
    if identifiers.is_empty() == arguments.signal.is_none() {
        return Err(Failure::usage("give a signal with --signal, or identifiers of one seller by flags"));
    }
    let thresholds = arguments.thresholds.rules()?;
    let signal = arguments.signal.map(|signal| signal.to_string()).unwrap_or_default();
    let currency = arguments.currency.map(|currency| currency.to_string()).unwrap_or_default();
    let (depth, max_sellers) = (arguments.depth, arguments.sellers);
    let request = GetRingRequest { signal, identifiers, depth, max_sellers, currency, thresholds };
    let node = Node::reach(arguments.node.config.as_deref(), environment).await?;
    let ring = Ring::of(LeadServiceClient::new(node.channel).get_ring(request).await?.into_inner());
    if let Some(path) = &arguments.graphviz {
        std::fs::write(path, ring.graph()).map_err(|error| {
            let sentence = format!("{} cannot be written: {}", path.display(), error.kind());
            Failure::new("GRAPH_UNWRITABLE", sentence).advise("give the path of a file that can be written")
        })?;
    }
    printer.show(&ring)?;
    Ok(Outcome::Done)
}

/// Sellers who are linked, as they are printed. Its JSON fields are part of the interface.
#[derive(Debug, Serialize)]
struct Ring {
    sellers: Vec<Seller>,
    links: Vec<Link>,
    hubs: Vec<Hub>,
    /// There are more sellers, or links beyond the depth.
    cut: bool,
    goods: Goods,
    /// How they measure up to what was given.
    thresholds: Vec<Measured>,
}

#[derive(Debug, Serialize)]
struct Seller {
    /// Its place, from 0.
    seller: usize,
    depth: u32,
    /// How it was reached; null at the start.
    via: Option<Via>,
    signals: Vec<Signal>,
}

#[derive(Debug, Serialize)]
struct Via {
    seller: u32,
    kind: &'static str,
}

#[derive(Debug, Serialize)]
struct Signal {
    signal: String,
    status: &'static str,
    kinds: Vec<&'static str>,
    region: String,
    brand: String,
}

#[derive(Debug, Serialize)]
struct Link {
    a: u32,
    b: u32,
    kind: &'static str,
}

#[derive(Debug, Serialize)]
struct Hub {
    kind: &'static str,
    /// A seller that has it; null where it was asked about.
    seller: Option<u32>,
    count: u32,
}

impl Ring {
    fn of(ring: GetRingResponse) -> Self {
        let link = |link: proto::RingLink| Link { a: link.a, b: link.b, kind: words::kind(link.kind) };
        let hub = |hub: proto::RingHub| Hub { kind: words::kind(hub.kind), seller: hub.seller, count: hub.count };
        Self {
            sellers: ring.sellers.into_iter().enumerate().map(|(place, seller)| Seller::of(place, seller)).collect(),
            links: ring.links.into_iter().map(link).collect(),
            hubs: ring.hubs.into_iter().map(hub).collect(),
            cut: ring.cut,
            goods: ring.goods.unwrap_or_default().into(),
            thresholds: ring.thresholds.into_iter().map(Measured::from).collect(),
        }
    }

    /// In the language of Graphviz: a box for each seller, a line for each kind of identifier that two share.
    fn graph(&self) -> String {
        let mut graph = String::from("graph ring {\n  node [shape=box];\n");
        for seller in &self.sellers {
            let names = seller.signals.iter().map(|signal| escaped(&format!("{} {}", signal.signal, signal.status)));
            let label = std::iter::once(format!("seller {}", seller.seller)).chain(names).collect::<Vec<_>>().join("\\n");
            writeln!(graph, "  s{} [label=\"{label}\"];", seller.seller).expect("a text takes all");
        }
        for Link { a, b, kind } in &self.links {
            writeln!(graph, "  s{a} -- s{b} [label=\"{kind}\"];").expect("a text takes all");
        }
        for (place, hub) in self.hubs.iter().enumerate() {
            writeln!(graph, "  h{place} [shape=ellipse, style=dashed, label=\"hub: {} ({}+)\"];", hub.kind, hub.count)
                .expect("a text takes all");
            if let Some(seller) = hub.seller {
                writeln!(graph, "  s{seller} -- h{place} [style=dashed];").expect("a text takes all");
            }
        }
        graph + "}\n"
    }
}

/// Within the quotes of a label.
fn escaped(text: &str) -> String {
    plain(text).replace('\\', "\\\\").replace('"', "\\\"")
}

impl Seller {
    fn of(place: usize, seller: proto::RingSeller) -> Self {
        let kind = words::kind(seller.via_kind);
        let via = seller.via_seller.map(|seller| Via { seller, kind });
        Self { seller: place, depth: seller.depth, via, signals: seller.signals.into_iter().map(Signal::from).collect() }
    }

    fn line(&self) -> String {
        let via = self.via.as_ref().map_or_else(String::new, |via| format!(", by {} of seller {}", via.kind, via.seller));
        let signals = self.signals.iter().map(Signal::line);
        let head = format!("seller {}{via}", self.seller);
        std::iter::once(head).chain(signals).map(|line| plain(&line) + "\n").collect()
    }
}

impl From<proto::RingSignal> for Signal {
    fn from(signal: proto::RingSignal) -> Self {
        Self {
            signal: signal.signal,
            status: words::status(signal.status),
            kinds: signal.kinds.iter().map(|kind| words::kind(*kind)).collect(),
            region: signal.region,
            brand: signal.brand,
        }
    }
}

impl Signal {
    fn line(&self) -> String {
        let about = [self.brand.as_str(), self.region.as_str()].into_iter().filter(|text| !text.is_empty());
        let about = about.collect::<Vec<_>>().join(", ");
        format!("  {}  {}  {}  {about}", self.signal, self.status, self.kinds.join(", "))
    }
}

impl Show for Ring {
    fn table(&self) -> String {
        let more = if self.cut { ", and there are more" } else { "" };
        let head = format!("{}{more}\n", counted(self.sellers.len() as u64, "seller"));
        let sellers: String = self.sellers.iter().map(|seller| format!("\n{}", seller.line())).collect();
        let hub = |hub: &Hub| {
            let whose = hub.seller.map_or_else(String::new, |seller| format!(" of seller {seller}"));
            format!("hub: the {}{whose} is on {} or more and links nobody", hub.kind, hub.count)
        };
        let hubs = lines(self.hubs.iter().map(hub));
        let hubs = if hubs.is_empty() { hubs } else { format!("\n{hubs}") };
        let measured: String = self.thresholds.iter().map(Measured::line).collect();
        let measured = if measured.is_empty() { measured } else { format!("\n{measured}") };
        lines((head + &sellers + &hubs + "\n" + &self.goods.table() + &measured).lines().map(str::to_owned))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring() -> Ring {
        let signal = |name: &str| proto::RingSignal {
            signal: name.into(),
            status: 1,
            kinds: vec![2, 4],
            region: "CN-GD".into(),
            brand: "Ac\"me".into(),
        };
        Ring::of(GetRingResponse {
            sellers: vec![
                proto::RingSeller { depth: 0, via_seller: None, via_kind: 0, signals: vec![signal("acme/all/1")] },
                proto::RingSeller { depth: 1, via_seller: Some(0), via_kind: 4, signals: vec![signal("acme/all/2")] },
            ],
            links: vec![proto::RingLink { a: 0, b: 1, kind: 4 }],
            hubs: vec![proto::RingHub { kind: 5, seller: Some(1), count: 60 }],
            cut: true,
            goods: Some(proto::GoodsTotal {
                total_minor: 123_450,
                currency: "CNY".into(),
                stated: vec![
                    proto::StatedAmount { amount_minor: 123_450, currency: "CNY".into(), without_rate: false },
                    proto::StatedAmount { amount_minor: 700, currency: "EUR".into(), without_rate: true },
                ],
                goods: 2,
                repeated_signals: 3,
                unvalued_signals: 1,
                left_out_signals: 1,
            }),
            thresholds: vec![proto::MeasuredThreshold {
                name: "CN counterfeit mark".into(),
                met: true,
                total_minor: 123_450,
                needed_minor: 100_000,
                currency: "CNY".into(),
                marks: 1,
                needed_marks: 2,
            }],
        })
    }

    #[test]
    fn a_ring_that_a_person_understands() {
        let expected = "\
2 sellers, and there are more

seller 0
  acme/all/1  alleged  domain, phone  Ac\"me, CN-GD

seller 1, by phone of seller 0
  acme/all/2  alleged  domain, phone  Ac\"me, CN-GD

hub: the email of seller 1 is on 60 or more and links nobody

goods: 1234.50 CNY in all, 2 goods, each counted once
  stated    1234.50 CNY
  stated    7.00 EUR, not in the sum: the alliance's policy has no rate for it
  repeated  3 signals, of goods that other signals state too
  unvalued  1 signal, without an amount
  left out  1 signal, disputed or of parallel imports

threshold met: CN counterfeit mark (1234.50 CNY of 1000.00 CNY, 1 of 2 brands)
";
        assert_eq!(ring().table(), expected);
    }

    #[test]
    fn a_ring_as_a_graph() {
        let expected = "graph ring {
  node [shape=box];
  s0 [label=\"seller 0\\nacme/all/1 alleged\"];
  s1 [label=\"seller 1\\nacme/all/2 alleged\"];
  s0 -- s1 [label=\"phone\"];
  h0 [shape=ellipse, style=dashed, label=\"hub: email (60+)\"];
  s1 -- h0 [style=dashed];
}
";
        assert_eq!(ring().graph(), expected);
    }
}
