//! What a member's node says and another one does not believe. The liar is a [`Front`]: all that it does not falsify is true.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use countermark::daemon::SystemEntropy;
use countermark::domain::limits::MAX_PEER_MESSAGE_BYTES;
use countermark::feed::{SignedCheckpoint, SigningKey, sign_note};
use countermark::rpc::proto::{
    FeedBatch, FeedState, FollowFeedsResponse, GetRosterResponse, Heartbeat, ListCheckpointsResponse, follow_feeds_response,
};
use parking_lot::Mutex;

use super::{holds, seller, signal};
use crate::cluster::front::{Front, Manner};
use crate::cluster::logged::{LoggedNode, heartbeats};
use crate::cluster::{Alliance, Client, eventually, member};
use crate::{THREE, cluster};

/// aurelle tells the truth to kestrel, and lies to bazaar.
struct World {
    alliance: Alliance,
    bazaar: LoggedNode,
    kestrel: LoggedNode,
    _aurelle: LoggedNode,
    _front: Front,
    client: Client,
}

async fn world(manner: Arc<dyn Manner>, before: impl AsyncFnOnce(&mut Alliance, &mut Client)) -> World {
    let (mut alliance, mut sockets) = Alliance::new(&THREE).await;
    let front = Front::of(&alliance, "aurelle", manner).await;
    alliance.route("bazaar", "aurelle", front.address);
    // Up together, as nodes are that wait for each other before they write.
    let kestrel = alliance.start_logged("kestrel", sockets.remove(&member("kestrel"))).await.expect("starts");
    let aurelle = alliance.start_logged("aurelle", sockets.remove(&member("aurelle"))).await.expect("starts");
    let mut client = alliance.client("aurelle").await;
    before(&mut alliance, &mut client).await;
    let bazaar = alliance.start_logged("bazaar", sockets.remove(&member("bazaar"))).await.expect("starts");
    let client = alliance.client("bazaar").await;
    World { alliance, bazaar, kestrel, _aurelle: aurelle, _front: front, client }
}

impl World {
    /// bazaar names `code` as what is wrong with aurelle, and its log has it once.
    async fn refused_once(&self, code: &str) {
        self.bazaar.log.expect(code).await;
        heartbeats(4).await;
        self.bazaar.log.only_once(code);
    }
}

/// Signs another text under the same name.
fn resigned(note: &Bytes, key: &SigningKey, change: impl FnOnce(&mut Vec<String>)) -> Bytes {
    let note = String::from_utf8(note.to_vec()).expect("text");
    let (text, _) = note.split_once("\n\n").expect("a signed note");
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    change(&mut lines);
    let name = lines[0].clone();
    sign_note(&(lines.join("\n") + "\n"), &name, key)
}

fn stranger() -> SigningKey {
    SigningKey::generate(&SystemEntropy).expect("a key")
}

/// Falsifies the first batch of aurelle's feed, or each of them.
struct Batches<F> {
    change: F,
    told: AtomicBool,
    always: bool,
}

impl<F: Fn(&mut FeedBatch) + Send + Sync + 'static> Batches<F> {
    fn once(change: F) -> Arc<Self> {
        Arc::new(Self { change, told: AtomicBool::new(false), always: false })
    }

    fn always(change: F) -> Arc<Self> {
        Arc::new(Self { change, told: AtomicBool::new(false), always: true })
    }
}

impl<F: Fn(&mut FeedBatch) + Send + Sync + 'static> Manner for Batches<F> {
    fn event(&self, event: &mut FollowFeedsResponse) {
        let Some(follow_feeds_response::Response::Batch(batch)) = &mut event.response else { return };
        if !self.told.swap(true, Ordering::SeqCst) || self.always {
            (self.change)(batch);
        }
    }
}

fn flip_a_bit(batch: &mut FeedBatch) {
    let mut entry = batch.entries[0].to_vec();
    *entry.last_mut().expect("bytes") ^= 1;
    batch.entries[0] = entry.into();
}

async fn one_signal(_: &mut Alliance, aurelle: &mut Client) {
    aurelle.submit(signal("shop")).await.expect("taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_changed_by_one_bit_is_not_taken_and_the_true_one_is() {
    let world = world(Batches::once(flip_a_bit), one_signal).await;
    world.refused_once("BATCH_ROOT_MISMATCH").await;
    let mut client = world.client;
    holds(&client, "aurelle", 1).await;
    assert_eq!(client.check(seller("shop")).await.expect("answered").members_elsewhere, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_goes_on_lying_fills_no_log_and_the_truth_comes_another_way() {
    let world = world(Batches::always(flip_a_bit), one_signal).await;
    world.bazaar.log.expect("BATCH_ROOT_MISMATCH").await;
    let mut client = world.client.clone();
    eventually("the operator sees it", || {
        let mut client = client.clone();
        async move {
            let peer = client.peer("aurelle").await;
            peer.last_error == "PEER_MISBEHAVED" && peer.last_error_detail.contains("BATCH_ROOT_MISMATCH")
        }
    })
    .await;
    // Many dials later.
    heartbeats(8).await;
    world.bazaar.log.only_once("BATCH_ROOT_MISMATCH");
    // From kestrel, which has it from aurelle as it is.
    holds(&client, "aurelle", 1).await;
    assert_eq!(client.check(seller("shop")).await.expect("answered").members_elsewhere, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_under_a_checkpoint_of_another_key_are_not_taken() {
    let key = stranger();
    let manner = Batches::once(move |batch: &mut FeedBatch| batch.checkpoint = resigned(&batch.checkpoint, &key, |_| {}));
    let world = world(manner, one_signal).await;
    world.refused_once("NOTE_NOT_SIGNED").await;
    holds(&world.client, "aurelle", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_signature_under_the_right_key_name_is_not_taken() {
    let manner = Batches::once(|batch: &mut FeedBatch| {
        // The hint names the member's key; the signature does not hold.
        let note = String::from_utf8(batch.checkpoint.to_vec()).expect("text");
        let (origin, rest) = note.split_once('\n').expect("lines");
        let (_, rest) = rest.split_once('\n').expect("lines");
        batch.checkpoint = format!("{origin}\n7\n{rest}").into();
    });
    let world = world(manner, one_signal).await;
    world.refused_once("NOTE_SIGNATURE_WRONG").await;
    holds(&world.client, "aurelle", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_beyond_its_limit_is_not_taken() {
    let manner = Batches::once(|batch: &mut FeedBatch| batch.entries.push(vec![7; MAX_PEER_MESSAGE_BYTES].into()));
    let world = world(manner, one_signal).await;
    world.refused_once("PEER_MESSAGE_TOO_LARGE").await;
    holds(&world.client, "aurelle", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_beyond_its_limit_is_not_taken() {
    let manner = Batches::once(|batch: &mut FeedBatch| batch.entries[0] = vec![7; 8 * 1_024 + 1].into());
    let world = world(manner, one_signal).await;
    world.refused_once("ENTRY_TOO_LARGE").await;
    holds(&world.client, "aurelle", 1).await;
}

/// Falsifies the heads, and makes heartbeats that do not agree, so that heads are asked for.
struct Shown<F> {
    change: F,
    lying: AtomicBool,
}

impl<F: Fn(&mut ListCheckpointsResponse) + Send + Sync + 'static> Manner for Shown<F> {
    fn heads(&self, heads: &mut ListCheckpointsResponse) {
        if self.lying.load(Ordering::SeqCst) {
            (self.change)(heads);
        }
    }

    fn event(&self, event: &mut FollowFeedsResponse) {
        let Some(follow_feeds_response::Response::Heartbeat(heartbeat)) = &mut event.response else { return };
        if self.lying.load(Ordering::SeqCst) {
            heartbeat.heads_digest = vec![7; 32].into();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_under_another_key_is_not_believed() {
    let key = stranger();
    let change = move |heads: &mut ListCheckpointsResponse| {
        heads.checkpoints.iter_mut().for_each(|note| *note = resigned(note, &key, |lines| lines[1] = "9".into()));
    };
    let world = world(Arc::new(Shown { change, lying: AtomicBool::new(true) }), one_signal).await;
    world.refused_once("NOTE_NOT_SIGNED").await;
    let feed = world.client.clone().feed("aurelle", "all").await.expect("listed");
    assert!(feed.newest_size <= 1, "a size that nobody signed is no lag");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_checkpoint_shown_again_is_found_out() {
    let first: Arc<Mutex<Option<Vec<Bytes>>>> = Arc::default();
    let kept = first.clone();
    let change = move |heads: &mut ListCheckpointsResponse| {
        if let Some(old) = kept.lock().clone() {
            heads.checkpoints = old;
        }
    };
    let manner = Arc::new(Shown { change, lying: AtomicBool::new(false) });
    let world = world(manner.clone(), one_signal).await;
    holds(&world.client, "aurelle", 1).await;
    let mut peer = world.alliance.peer("bazaar", "aurelle").await;
    let heads = peer.list_checkpoints(countermark::rpc::proto::ListCheckpointsRequest {}).await.expect("heads").into_inner();
    *first.lock() = Some(heads.checkpoints);
    world.alliance.client("aurelle").await.submit(signal("later")).await.expect("taken");
    holds(&world.client, "aurelle", 2).await;
    manner.lying.store(true, Ordering::SeqCst);
    world.refused_once("CHECKPOINT_STALE").await;
    let mut client = world.client;
    assert_eq!(client.peer("aurelle").await.last_error, "CHECKPOINT_STALE");
    assert_eq!(client.feed("aurelle", "all").await.map(|f| (f.size, f.newest_size)), Some((2, 2)), "nothing is undone");
}

/// Makes a heartbeat speak of a newer roster, and shows this one in its place.
struct Rosters {
    note: Mutex<Bytes>,
}

impl Manner for Rosters {
    fn roster(&self, roster: &mut GetRosterResponse) {
        roster.note = self.note.lock().clone();
    }

    fn event(&self, event: &mut FollowFeedsResponse) {
        if let Some(follow_feeds_response::Response::Heartbeat(heartbeat)) = &mut event.response {
            let Heartbeat { roster_serial, .. } = heartbeat;
            *roster_serial = 99;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolled_back_roster_is_refused() {
    let manner = Arc::new(Rosters { note: Mutex::default() });
    let shown = manner.clone();
    let world = world(manner, async move |alliance: &mut Alliance, _: &mut Client| {
        *shown.note.lock() = alliance.signed_roster();
        alliance.amend(|_| {});
    })
    .await;
    world.refused_once("ROSTER_ROLLED_BACK").await;
    assert_eq!(world.client.clone().status().await.roster_serial, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_roster_is_refused() {
    let manner = Arc::new(Rosters { note: Mutex::default() });
    let shown = manner.clone();
    let world = world(manner, async move |alliance: &mut Alliance, _: &mut Client| {
        let text = toml::to_string(&alliance.roster).expect("TOML").replace("serial = 1", "serial = 99");
        *shown.note.lock() = sign_note(&text, &format!("{}/roster", alliance.name), &stranger());
    })
    .await;
    world.refused_once("NOTE_NOT_SIGNED").await;
    assert_eq!(world.client.clone().status().await.roster_serial, 1);
}

/// Two histories of one feed, both signed by its member.
struct Histories {
    key: Mutex<Option<SigningKey>>,
    lying: AtomicBool,
}

impl Manner for Histories {
    fn heads(&self, heads: &mut ListCheckpointsResponse) {
        let key = self.key.lock();
        let Some(key) = key.as_ref().filter(|_| self.lying.load(Ordering::SeqCst)) else { return };
        let other = |lines: &mut Vec<String>| lines[2] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".into();
        let of_aurelle = heads.checkpoints.iter_mut().filter(|note| note.starts_with(b"alliance.example/aurelle/all\n"));
        of_aurelle.for_each(|note| *note = resigned(note, key, other));
    }

    fn event(&self, event: &mut FollowFeedsResponse) {
        if let Some(follow_feeds_response::Response::Heartbeat(heartbeat)) = &mut event.response
            && self.lying.load(Ordering::SeqCst)
        {
            heartbeat.heads_digest = vec![7; 32].into();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forked_feed_is_kept_as_evidence_quarantined_and_made_known() {
    let manner = Arc::new(Histories { key: Mutex::default(), lying: AtomicBool::new(false) });
    let world = world(manner.clone(), one_signal).await;
    let (bazaar, kestrel) = (world.client.clone(), world.alliance.client("kestrel").await);
    holds(&bazaar, "aurelle", 1).await;
    holds(&kestrel, "aurelle", 1).await;
    let secrets = &world.alliance.membership("aurelle").secrets;
    *manner.key.lock() = Some(SigningKey::from_seed_text(&secrets.feed_key).expect("a key"));
    manner.lying.store(true, Ordering::SeqCst);
    world.refused_once("FEED_FORKED").await;
    world.kestrel.log.expect("FEED_FORKED").await;
    heartbeats(4).await;
    world.kestrel.log.only_once("FEED_FORKED");
    for mut client in [bazaar, kestrel] {
        is_quarantined(&world.alliance, &mut client).await;
    }
    let printed = status_as_printed(&world.alliance).await;
    let forks = printed["forks"].as_array().expect("forks");
    assert_eq!((forks.len(), forks[0]["member"].as_str(), forks[0]["audience"].as_str()), (1, Some("aurelle"), Some("all")));
    let aurelle = |feed: &&serde_json::Value| feed["member"] == "aurelle" && feed["audience"] == "all";
    let feed = printed["freshness"]["feeds"].as_array().expect("feeds").iter().find(aurelle).expect("listed");
    assert_eq!(feed["state"], "quarantined");

    // The evidence outlives the process.
    world.bazaar.stop().await;
    let _bazaar = world.alliance.start_logged("bazaar", None).await.expect("starts");
    is_quarantined(&world.alliance, &mut world.alliance.client("bazaar").await).await;
}

/// The node shows two checkpoints that aurelle signed and that contradict each other, and its answers say so.
async fn is_quarantined(alliance: &Alliance, client: &mut Client) {
    let status = client.status().await;
    assert_eq!(status.forks.len(), 1);
    let fork = &status.forks[0];
    let key = alliance.membership("aurelle").request.feed_key;
    let open = |note: &str| {
        let note = Bytes::copy_from_slice(note.as_bytes());
        SignedCheckpoint::open(note, &alliance.name, |_| Some(key)).expect("signed by aurelle").checkpoint().clone()
    };
    let (first, second) = (open(&fork.first_checkpoint), open(&fork.second_checkpoint));
    assert_eq!((first.size, &first.feed), (second.size, &second.feed));
    assert_ne!(first.root, second.root);
    let feed = client.feed("aurelle", "all").await.expect("listed");
    assert_eq!((feed.state(), feed.size), (FeedState::Quarantined, 1), "what was held stays");
    let answer = client.check(seller("shop")).await.expect("answered");
    assert!(answer.elsewhere.iter().all(|found| found.quarantined) && answer.elsewhere.len() == 1);
}

/// What `countermark status --output json` says of bazaar's node.
async fn status_as_printed(alliance: &Alliance) -> serde_json::Value {
    use countermark::domain::Clock as _;
    let folder = tempfile::tempdir().expect("a folder");
    let own = alliance.client_credentials("bazaar", "all-roles", countermark::daemon::SystemClock.now());
    let write = |name: &str, text: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("ours");
        path
    };
    write("client.pem", &own.chain);
    write("client.key", &own.key);
    write("ca.pem", &alliance.peer_anchors().ca);
    let settings = format!(
        "[client]\naddress = \"{}\"\nserver_name = \"{}\"\ncertificate = \"client.pem\"\nkey = \"client.key\"\nca = \"ca.pem\"\n",
        alliance.membership("bazaar").clients,
        alliance.name.node_dns_name(&member("bazaar")),
    );
    let config = write("client.toml", &settings).display().to_string();
    let run = move || cluster::program::program(&["status", "--output", "json", "--config", &config]);
    let output = tokio::task::spawn_blocking(run).await.expect("run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}
