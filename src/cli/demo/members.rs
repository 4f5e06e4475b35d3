//! A member of the demonstration, as a client of its own node.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tonic::transport::Channel;

use super::population::Store;
use crate::cli::Environment;
use crate::cli::connection::Node;
use crate::cli::failure::Failure;
use crate::domain::SignalStatus;
use crate::rpc::proto::node_service_client::NodeServiceClient;
use crate::rpc::proto::screening_service_client::ScreeningServiceClient;
use crate::rpc::proto::signal_service_client::SignalServiceClient;
use crate::rpc::proto::{
    CheckAnswer, CheckSellersRequest, Evidence, FeedState, GetStatusRequest, Identifier, Statement, Submission,
    SubmitSignalsRequest, check_sellers_response, submit_signals_response,
};

pub(super) struct DemoMember<'s> {
    id: &'static str,
    config: PathBuf,
    channel: Channel,
    /// What it found.
    pub(super) stores: Vec<&'s Store>,
}

/// What a member learned from the others.
pub(super) struct Learned {
    pub(super) member: &'static str,
    pub(super) config: PathBuf,
    pub(super) sellers: usize,
    /// Own sellers that another member flags.
    pub(super) elsewhere: usize,
    /// Among them, on conclusive evidence.
    pub(super) confirmed: usize,
    /// How many of them each other member flags.
    pub(super) by: BTreeMap<String, usize>,
    /// Kind and value of what gave the first of them away, made up as all of it is.
    pub(super) example: Option<(&'static str, String)>,
}

impl DemoMember<'_> {
    pub(super) async fn reach(id: &'static str, config: &Path, environment: &Environment) -> Result<Self, Failure> {
        let node = Node::reach(Some(config), environment).await?;
        Ok(Self { id, config: config.to_owned(), channel: node.channel, stores: Vec::new() })
    }

    /// Hands in one signal for each store, and makes sure that each was taken.
    pub(super) async fn submit(&mut self) -> Result<(), Failure> {
        let request = |store: &&Store| SubmitSignalsRequest { submission: Some(submission(store)) };
        let rows: Vec<_> = self.stores.iter().map(request).collect();
        let mut client = SignalServiceClient::new(self.channel.clone());
        let mut unanswered = rows.len();
        let mut answers = client.submit_signals(tokio_stream::iter(rows)).await?.into_inner();
        while let Some(answer) = answers.message().await? {
            if let Some(submit_signals_response::Result::Error(error)) = answer.result {
                return Err(Failure::new(error.code, error.message));
            }
            unanswered = unanswered.saturating_sub(1);
        }
        match unanswered {
            0 => Ok(()),
            _ => Err(Failure::new("DEMO_ANSWERS", "the node gave fewer answers than it was asked for")),
        }
    }

    /// Asks about every store of its own.
    pub(super) async fn ask(&mut self) -> Result<Learned, Failure> {
        let rows: Vec<_> =
            self.stores.iter().map(|s| CheckSellersRequest { identifiers: identifiers(s), watch: None }).collect();
        let mut client = ScreeningServiceClient::new(self.channel.clone());
        let mut answers = client.check_sellers(tokio_stream::iter(rows)).await?.into_inner();
        let mut learned = Learned {
            member: self.id,
            config: self.config.clone(),
            sellers: self.stores.len(),
            elsewhere: 0,
            confirmed: 0,
            by: BTreeMap::new(),
            example: None,
        };
        for store in &self.stores {
            match answers.message().await?.and_then(|answer| answer.result) {
                Some(check_sellers_response::Result::Answer(answer)) => learned.take(store, &answer),
                Some(check_sellers_response::Result::Error(error)) => return Err(Failure::new(error.code, error.message)),
                None => return Err(Failure::new("DEMO_ANSWERS", "the node gave fewer answers than it was asked for")),
            }
        }
        Ok(learned)
    }

    async fn is_unconfirmed(&self) -> Result<bool, Failure> {
        let status = NodeServiceClient::new(self.channel.clone()).get_status(GetStatusRequest {}).await?.into_inner();
        let feeds = status.freshness.unwrap_or_default().feeds;
        Ok(feeds.iter().any(|feed| feed.state() == FeedState::Unconfirmed))
    }

    async fn feed_sizes(&self) -> Result<BTreeMap<String, u64>, Failure> {
        let status = NodeServiceClient::new(self.channel.clone()).get_status(GetStatusRequest {}).await?.into_inner();
        let feeds = status.freshness.unwrap_or_default().feeds;
        Ok(feeds.into_iter().map(|feed| (feed.member, feed.size)).collect())
    }
}

impl Learned {
    fn take(&mut self, store: &Store, answer: &CheckAnswer) {
        if answer.members_elsewhere == 0 {
            return;
        }
        self.elsewhere += 1;
        let confirmed = answer.elsewhere.iter().any(|m| m.counts && m.status == SignalStatus::Confirmed.number());
        self.confirmed += usize::from(confirmed);
        let mut members: Vec<&str> = answer.elsewhere.iter().filter(|m| m.counts).map(|m| m.member.as_str()).collect();
        members.sort_unstable();
        members.dedup();
        members.into_iter().for_each(|member| *self.by.entry(member.to_owned()).or_default() += 1);
        if self.example.is_none() {
            let index = answer.elsewhere.first().and_then(|m| m.matched.first()).map_or(0, |m| m.index);
            let identifier = usize::try_from(index).ok().and_then(|i| store.identifiers.get(i));
            self.example = identifier.map(|(kind, value)| (kind.as_str(), value.clone()));
        }
    }
}

/// Waits until every node has compared its own feed with another member's copy, and takes signals.
pub(super) async fn wait_until_writable(members: &[DemoMember<'_>]) -> Result<(), Failure> {
    let mut pause = tokio::time::interval(Duration::from_millis(10));
    for member in members {
        while member.is_unconfirmed().await? {
            pause.tick().await;
        }
    }
    Ok(())
}

/// Waits until every node holds all that every member has handed in.
pub(super) async fn wait_until_level(members: &mut [DemoMember<'_>]) -> Result<(), Failure> {
    let handed_in = |member: &DemoMember<'_>| (member.id.to_owned(), member.stores.len() as u64);
    let own: BTreeMap<String, u64> = members.iter().map(handed_in).collect();
    let mut pause = tokio::time::interval(Duration::from_millis(10));
    for member in members.iter() {
        while member.feed_sizes().await? != own {
            pause.tick().await;
        }
    }
    Ok(())
}

fn identifiers(store: &Store) -> Vec<Identifier> {
    let identifier = |(kind, value): &(crate::domain::IdentifierKind, String)| Identifier {
        kind: kind.number(),
        value: value.clone(),
        region: String::new(),
    };
    store.identifiers.iter().map(identifier).collect()
}

fn submission(store: &Store) -> Submission {
    let statement = Statement {
        infringement: store.infringement.number(),
        brand: store.brand.to_owned(),
        evidence: vec![Evidence { kind: store.evidence.number(), grade: 0, sha256: vec![] }],
        ..Statement::default()
    };
    Submission {
        submission_id: String::new(),
        audience: "all".to_owned(),
        identifiers: identifiers(store),
        statement: Some(statement),
    }
}
