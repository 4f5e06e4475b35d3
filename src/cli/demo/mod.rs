//! `demo`: a three-member alliance on loopback that submits, shares and answers.
//!
//! Nothing in it is special: the ceremonies make the folders, the nodes run from the configuration files in them, and the
//! members talk to their nodes through the public API over mutual TLS. Only the sellers are made up.

pub(super) mod key;
mod members;
mod population;
mod report;
mod samples;

use std::path::Path;
use std::time::{Duration, Instant};

use super::alliance::{FirstMember, found};
use super::arguments::DemoArguments;
use super::failure::{Failure, Outcome};
use super::loopback::{Stop, free_pair};
use super::output::Printer;
use super::{Environment, wait_for};
use crate::alliance::folder::{AllianceFolder, MemberFolder};
use crate::config::NodeConfig;
use crate::daemon::{Listeners, Node, NodeSetup, ServeError, setup};
use crate::domain::{MemberKind, Scheme};
use crate::service::CeremonyPace;
use members::{DemoMember, Learned};
use population::stores;
use report::Report;

const ALLIANCE: &str = "demo.test";
const MEMBERS: [(&str, MemberKind); 3] =
    [("bazaar", MemberKind::Platform), ("aurelle", MemberKind::Brand), ("kestrel", MemberKind::Brand)];
const CONTROLLERS: usize = 120;
const SEED: u64 = 2_026;
/// How long the nodes may take to reach each other; on loopback they take well under a second.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn run(arguments: &DemoArguments, environment: &Environment, printer: &mut Printer) -> Result<Outcome, Failure> {
    wait_for(async {
        let folder = tempfile::Builder::new().prefix("countermark-demo-").tempdir();
        let folder = folder.map_err(|error| Failure::of("DEMO_FOLDER", &error))?;
        let mut stop = Stop::new()?;
        // However it ends, the folder goes: private keys lie in it.
        tokio::select! {
            shown = show(folder.path(), arguments.keep, environment, printer) => shown,
            () = stop.told() => Ok(Outcome::Done),
        }
    })
}

async fn show(folder: &Path, keep: bool, environment: &Environment, printer: &mut Printer) -> Result<Outcome, Failure> {
    printer.progress(|| "making keys and certificates for three members".to_owned());
    let mut sockets = Vec::new();
    let mut first = Vec::new();
    for (id, kind) in MEMBERS {
        let listeners = free_pair().await?;
        let address = listeners.peers.local_addr().map_err(|error| Failure::of("DEMO_PORTS", &error))?;
        first.push(FirstMember { id: id.parse()?, kind, address: address.to_string() });
        sockets.push(listeners);
    }
    let secretariat = AllianceFolder::at(folder.join("alliance"));
    let homes = found(&ALLIANCE.parse()?, &secretariat, &first, Scheme::ToprfRistretto255, environment)?;
    printer.progress(|| "starting three nodes".to_owned());
    let mut nodes = Vec::new();
    for (home, listeners) in homes.iter().zip(sockets) {
        nodes.push(start(home, listeners, environment).await?);
    }
    printer.progress(|| "two of three: the members make a key that none of them has".to_owned());
    key::make(&secretariat, &homes, &nodes, environment).await?;
    let report = work(&homes, environment, printer).await?;
    printer.end_progress();
    printer.show(&report)?;
    printer.flush()?;
    if keep {
        samples::write(folder).map_err(|error| Failure::of("DEMO_FOLDER", &error))?;
        printer.heading(&report.by_hand(folder, environment))?;
        printer.flush()?;
        printer.note("The nodes are running. Press Ctrl-C to stop them and remove their folders.");
        std::future::pending::<()>().await;
    } else {
        printer.note("The nodes are gone again. `countermark demo --keep` leaves them running, to try the commands by hand.");
    }
    for node in nodes {
        node.stop().await;
    }
    Ok(Outcome::Done)
}

async fn start(home: &MemberFolder, listeners: Listeners, environment: &Environment) -> Result<Node, Failure> {
    // On one machine nobody has to be waited for as on the internet.
    let pace = CeremonyPace { busy: Duration::from_millis(50), idle: Duration::from_secs(1) };
    let node = Node::start(NodeSetup { ceremony_pace: pace, ..read(home, environment)? }, listeners).await;
    Ok(node.map_err(ServeError::from)?)
}

/// What a member's folder makes of its node.
fn read(home: &MemberFolder, environment: &Environment) -> Result<NodeSetup, Failure> {
    let loaded = NodeConfig::load(&home.path().join("node.toml"), &environment.variables).map_err(ServeError::from)?;
    let materials = loaded.materials(environment.now()).map_err(ServeError::from)?;
    Ok(setup(loaded, materials))
}

/// Each member submits what it found, waits for the others, and asks about its own sellers.
async fn work(homes: &[MemberFolder], environment: &Environment, printer: &mut Printer) -> Result<Report, Failure> {
    let mut members = Vec::new();
    for (home, (id, _)) in homes.iter().zip(MEMBERS) {
        members.push(DemoMember::reach(id, &home.path().join("client.toml"), environment).await?);
    }
    printer.progress(|| "waiting until the nodes have found each other".to_owned());
    let met = tokio::time::timeout(PATIENCE, members::wait_until_writable(&members)).await;
    met.map_err(|_| Failure::new("DEMO_SLOW", "the nodes did not find each other within a minute").advise("try again"))??;
    let stores = stores(SEED, CONTROLLERS);
    for (i, store) in stores.iter().enumerate() {
        let finder = population::finder(store, i, members.len());
        members[finder].stores.push(store);
    }
    printer.progress(|| format!("submitting signals about {} stores", stores.len()));
    let began = Instant::now();
    for member in &mut members {
        member.submit().await?;
    }
    let submitted = began.elapsed();
    printer.progress(|| "waiting until every node has heard of every signal".to_owned());
    let level = tokio::time::timeout(PATIENCE, members::wait_until_level(&mut members)).await;
    level
        .map_err(|_| Failure::new("DEMO_SLOW", "the nodes did not reach each other within a minute").advise("try again"))??;
    let shared = began.elapsed();
    printer.progress(|| "asking each node about its own sellers".to_owned());
    let mut learned = Vec::new();
    for member in &mut members {
        learned.push(member.ask().await?);
    }
    everybody_learned(&learned)?;
    Ok(Report::new(ALLIANCE, stores.len(), submitted, shared, learned, homes))
}

/// Each member must know something from each other one, or what is shown is no alliance.
fn everybody_learned(learned: &[Learned]) -> Result<(), Failure> {
    for (member, (other, _)) in learned.iter().flat_map(|member| MEMBERS.map(|other| (member, other))) {
        if member.member != other && member.by.get(other).is_none_or(|sellers| *sellers == 0) {
            let sentence = format!("{} learned nothing from {other}", member.member);
            return Err(Failure::new("DEMO_INCOMPLETE", sentence).advise("this is a fault of this program: report it"));
        }
    }
    Ok(())
}
