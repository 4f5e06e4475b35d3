//! Who can be reached: the node of this machine, and those of the other members, dialled as the node itself would.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use rustls::ClientConfig;
use tonic::transport::Channel;

use super::bundle::Contents;
use super::{Finding, State};
use crate::cli::Environment;
use crate::cli::connection::Node;
use crate::cli::failure::Failure;
use crate::config::{LoadedConfig, Materials};
use crate::domain::limits::MAX_PEER_MESSAGE_BYTES;
use crate::domain::{Clock, MemberId, NodeVersion, Timestamp};
use crate::feed::SignedRoster;
use crate::rpc::connector::connect;
use crate::rpc::exchange_versions;
use crate::rpc::proto;
use crate::rpc::proto::node_service_client::NodeServiceClient;
use crate::rpc::proto::peer_service_client::PeerServiceClient;
use crate::rpc::tls::client_config;

/// Members that are dialled at once.
const AT_ONCE: usize = 16;
/// How long a node may take to answer once it is connected.
const PATIENCE: Duration = Duration::from_secs(10);
/// What clocks may differ by: HTTP tells the time in whole seconds, and an answer takes some.
const CLOCKS_DIFFER: i64 = 3_000;
/// Beyond this, days and deadlines are not the same any more.
const CLOCK_WRONG: i64 = 60_000;

/// What a node answered.
struct Answer {
    version: NodeVersion,
    roster: Option<SignedRoster>,
    took: Duration,
    /// What its clock shows beyond this machine's, in milliseconds; `None` where it does not say.
    ahead_ms: Option<i64>,
}

/// Dials as the node does.
struct Caller<'a> {
    loaded: &'a LoadedConfig,
    tls: Arc<ClientConfig>,
    clock: &'a dyn Clock,
}

pub(super) async fn look(
    loaded: &LoadedConfig,
    materials: &Materials,
    client: Option<&Path>,
    environment: &Environment,
    bundled: &mut Contents,
) -> Vec<Finding> {
    let tls = match client_config(&materials.own, &materials.alliance) {
        Ok(tls) => Arc::new(tls),
        Err(error) => return vec![Finding::of("network", State::Fault, "", &Failure::from(error))],
    };
    let caller = Caller { loaded, tls, clock: &*environment.clock };
    let (own, newer) = caller.own_node().await;
    let mut findings = vec![own];
    findings.extend(node_says(client, environment, bundled).await);
    match newer.as_ref().or(materials.roster.as_ref()) {
        Some(signed) => findings.extend(caller.members(signed).await),
        None => findings.push(Finding::skipped("peers", "no roster is at hand: start the node, or name the roster's file")),
    }
    bundled.fetch_metrics(&loaded.config).await;
    findings
}

impl Caller<'_> {
    /// The node that should run here, and the roster that it has.
    async fn own_node(&self) -> (Finding, Option<SignedRoster>) {
        let listen = self.loaded.config.peers.listen;
        let address = reachable(listen).to_string();
        match self.ask(&self.loaded.config.node.member, &address).await {
            Ok(answer) if answer.version.program() != env!("CARGO_PKG_VERSION") => {
                let sentence = format!("runs {}, and this program is {}", answer.version, NodeVersion::own());
                let finding = Finding::new("node", State::Warning, address, sentence).coded("NODE_OTHER_VERSION");
                (finding.fix("restart the node, so that it runs what is installed"), answer.roster)
            }
            Ok(answer) => (Finding::ok("node", address, format!("runs {}", answer.version)), answer.roster),
            Err(failure) => {
                (Finding::of("node", State::Warning, address, &failure).fix("start the node, and look at its log"), None)
            }
        }
    }

    async fn members(&self, signed: &SignedRoster) -> Vec<Finding> {
        let own = &self.loaded.config.node.member;
        let others: Vec<(MemberId, String)> = (signed.roster().members.iter())
            .filter(|member| member.id != *own && signed.roster().is_active(&member.id))
            .map(|member| (member.id.clone(), self.address(&member.id, &member.address)))
            .collect();
        let asked = stream::iter(&others).map(async |(member, address)| (member, address, self.ask(member, address).await));
        let answers: Vec<_> = asked.buffered(AT_ONCE).collect().await;
        let mut findings: Vec<Finding> =
            answers.iter().map(|(member, address, answer)| peer(member, address, answer, signed)).collect();
        let mut ahead: Vec<i64> = answers.iter().filter_map(|(.., answer)| answer.as_ref().ok()?.ahead_ms).collect();
        findings.push(clock(&mut ahead));
        findings
    }

    /// What takes the place of the roster's address on this node's network.
    fn address(&self, member: &MemberId, listed: &str) -> String {
        let own = self.loaded.config.peers.addresses.get(member);
        own.map_or_else(|| listed.to_owned(), |address| address.as_str().to_owned())
    }

    async fn ask(&self, member: &MemberId, address: &str) -> Result<Answer, Failure> {
        let name = self.loaded.config.node.alliance.node_dns_name(member);
        let channel = connect(address, name, self.tls.clone()).await?;
        let asked = tokio::time::timeout(PATIENCE, self.question(channel));
        asked
            .await
            .map_err(|_| Failure::new("PEER_TIMEOUT", "the node does not answer").advise("it may be overloaded; try again"))?
    }

    async fn question(&self, channel: Channel) -> Result<Answer, Failure> {
        let mut peer = PeerServiceClient::new(channel).max_decoding_message_size(MAX_PEER_MESSAGE_BYTES);
        let (began, asked_at) = (Instant::now(), self.clock.now());
        let response = peer.get_roster(proto::GetRosterRequest {}).await?;
        let took = began.elapsed();
        let shown = response.metadata().get("date").and_then(|date| date.to_str().ok()).and_then(instant);
        // Half of the time is the way there; a shown second has passed by half, too.
        let half = i64::try_from(took.as_millis() / 2).unwrap_or(0);
        let ahead_ms = shown.map(|shown| shown.unix_ms() + 500 - asked_at.unix_ms() - half);
        let (alliance, secretariat) = (&self.loaded.config.node.alliance, self.loaded.config.roster.secretariat_key);
        let roster = SignedRoster::open(response.into_inner().note, alliance, &secretariat).ok();
        let version = exchange_versions(peer).await.map_err(|error| Failure::new(error.code, error.detail))?;
        Ok(Answer { version, roster, took, ahead_ms })
    }
}

/// Where this machine reaches its own listener.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, listen.port())
}

/// An instant as HTTP writes it (RFC 9110, 5.6.7).
fn instant(date: &str) -> Option<Timestamp> {
    let parsed = jiff::fmt::rfc2822::parse(date).ok()?;
    Some(Timestamp::from_unix_ms(parsed.timestamp().as_millisecond()))
}

fn peer(member: &MemberId, address: &str, answer: &Result<Answer, Failure>, signed: &SignedRoster) -> Finding {
    let subject = format!("{member} at {address}");
    let answer = match answer {
        Ok(answer) => answer,
        Err(failure) => return Finding::of("peers", State::Warning, subject, failure),
    };
    let (serial, theirs) = (signed.roster().serial, answer.roster.as_ref().map_or(0, |roster| roster.roster().serial));
    let said = format!("answers in {} ms, runs {}, has roster {theirs}", answer.took.as_millis(), answer.version);
    match theirs {
        theirs if theirs > serial => {
            let finding = Finding::new("peers", State::Warning, subject, format!("{said}, newer than {serial} here"));
            finding
                .coded("ROSTER_OLD")
                .fix("a running node takes it by itself within a minute; where it does not, look at its log")
        }
        _ => Finding::ok("peers", subject, said),
    }
}

/// The middle of what others show: one wrong clock among them changes nothing.
fn clock(ahead: &mut [i64]) -> Finding {
    ahead.sort_unstable();
    let Some(middle) = ahead.get(ahead.len() / 2).copied() else {
        return Finding::skipped("clock", "no other node told the time");
    };
    let seconds = middle.unsigned_abs().div_ceil(1_000);
    let direction = if middle > 0 { "behind" } else { "ahead of" };
    let sentence = format!("this machine's clock is {seconds} s {direction} those of {} other nodes", ahead.len());
    let fix = "have this machine's clock synchronised, by chrony or systemd-timesyncd";
    match middle.abs() {
        CLOCK_WRONG.. => Finding::new("clock", State::Fault, "", sentence).coded("CLOCK_WRONG").fix(fix),
        CLOCKS_DIFFER..CLOCK_WRONG => Finding::new("clock", State::Warning, "", sentence).coded("CLOCK_DIFFERS").fix(fix),
        _ => Finding::ok("clock", "", format!("agrees with those of {} other nodes", ahead.len())),
    }
}

/// What the node says of itself, where a client's configuration is at hand.
async fn node_says(client: Option<&Path>, environment: &Environment, bundled: &mut Contents) -> Vec<Finding> {
    let node = match Node::reach(client, environment).await {
        Ok(node) => node,
        Err(failure) => {
            let advice = "give --client, a client's configuration, to have the node asked, too";
            return vec![Finding::skipped("status", format!("the node was not asked: {}", failure.sentence())).fix(advice)];
        }
    };
    let asked = NodeServiceClient::new(node.channel).get_status(proto::GetStatusRequest {}).await;
    let status = match asked {
        Ok(status) => status.into_inner(),
        Err(status) => return vec![Finding::of("status", State::Warning, "", &Failure::from(status))],
    };
    let findings = problems(&status);
    bundled.status(status);
    if findings.is_empty() { vec![Finding::ok("status", "", "the node has nothing to complain of")] } else { findings }
}

fn problems(status: &proto::GetStatusResponse) -> Vec<Finding> {
    let mut findings = Vec::new();
    let fault =
        |sentence: String, fix: &str| Finding::new("status", State::Fault, "", sentence).coded("NODE_IN_TROUBLE").fix(fix);
    if let Some(store) = status.store.as_ref().filter(|store| !store.writable) {
        let fix = "make room or replace the disk; writing resumes by itself after room, and after a restart otherwise";
        findings.push(fault(format!("nothing can be written: {}", store.problem), fix));
    }
    if !status.key_problem.is_empty() {
        let sentence = format!("no pseudonyms can be made: {}", status.key_problem);
        findings.push(fault(sentence, "`countermark key status` names the key and who is missing"));
    }
    for fork in &status.forks {
        let sentence = format!("{}/{} has two histories, both signed", fork.member, fork.audience);
        findings.push(fault(sentence, "tell the secretariat; `countermark status --output json` has the proof"));
    }
    let feeds = status.freshness.iter().flat_map(|freshness| &freshness.feeds);
    for feed in feeds {
        let name = format!("{}/{}", feed.member, feed.audience);
        match feed.state() {
            proto::FeedState::Behind => {
                let fix = "stop the node and run `serve --recover-own-feed` until it is level";
                findings.push(fault(format!("other members hold more of {name} than this node"), fix));
            }
            proto::FeedState::Unconfirmed => {
                let sentence = format!("{name} was not compared with another member's copy since the node started");
                let finding = Finding::new("status", State::Warning, "", sentence).coded("OWN_FEED_UNCONFIRMED");
                findings.push(finding.fix("it takes signals once another member's node can be reached"));
            }
            _ => {}
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_judged_by_the_middle_of_the_others() {
        assert_eq!(clock(&mut []).state, State::Skipped);
        assert_eq!(clock(&mut [120_000, 0, -500]).state, State::Ok, "one that is wrong among three");
        let differs = clock(&mut [9_100, 9_000, 9_200]);
        assert_eq!(
            (differs.state, differs.sentence.as_str()),
            (State::Warning, "this machine's clock is 10 s behind those of 3 other nodes")
        );
        let wrong = clock(&mut [-90_000]);
        assert_eq!((wrong.state, wrong.code.as_str()), (State::Fault, "CLOCK_WRONG"));
        assert!(wrong.sentence.contains("90 s ahead of"), "{}", wrong.sentence);
    }

    #[test]
    fn the_time_in_an_answer_is_read_as_http_writes_it() {
        let read = instant("Sun, 06 Nov 1994 08:49:37 GMT").expect("a date");
        assert_eq!(read.to_string(), "1994-11-06T08:49:37Z");
        assert_eq!(instant("yesterday"), None);
    }
}
