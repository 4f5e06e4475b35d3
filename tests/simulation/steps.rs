//! Every kind of request, with a failure at every step of it: what was acknowledged is there afterwards, what was refused is there
//! whole or not at all, and going on leads to where it would have led without the failure.

use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};

use countermark::domain::{
    Actor, Audience, AuditKind, AuditRecord, Charge, Clock as _, ErasureProgress, IdentifierKind, Judgment, KeyClass, Member,
    MemberKind, MemberState, Reason, Roster, Seq, SignalRef, Standing, Timestamp, Verdict, Watch,
};
use countermark::feed::{Checkpoint, ErasureReceipt, ForkProof, SignedCheckpoint, SignedRoster};
use countermark::store::{
    Append, Backup, CheckRecord, CheckReference, Delivered, DiskFault, FaultKind, FeedState, FreshnessRecord, Import,
    ModelDisk, Moment, Override, Owner, Piece, Remains, Restoration, Store, StoreError, StoredBatch,
};
use futures_util::future::{BoxFuture, FutureExt as _, join_all};
use parking_lot::Mutex;

use super::words::*;

const ME: &str = "acme";
const OWN: &str = "acme/all";

/// Batches of a neighbour's feed, one after the other.
type Neighbour = Arc<[StoredBatch]>;

type Asking = dyn for<'s> Fn(&'s Store, &'s Told) -> BoxFuture<'s, Result<(), StoreError>>;

/// Something that is asked of a store.
struct Ask {
    what: &'static str,
    ask: Box<Asking>,
}

/// What the store told whoever asked.
#[derive(Default)]
struct Told {
    checks: Mutex<Vec<(CheckReference, CheckRecord)>>,
}

fn ask(
    what: &'static str,
    ask: impl for<'s> Fn(&'s Store, &'s Told) -> BoxFuture<'s, Result<(), StoreError>> + 'static,
) -> Ask {
    Ask { what, ask: Box::new(ask) }
}

fn owner(member: &str, clock: &Arc<HandClock>) -> Owner {
    Owner {
        alliance: alliance(),
        member: id(member),
        key: key(member),
        clock: clock.clone(),
        entropy: Arc::new(Counter::from(1)),
    }
}

fn all() -> Audience {
    Audience::Alliance
}

fn luxury() -> Audience {
    "luxury".parse().expect("valid")
}

/// Adds to own feeds, each of which must be taken.
async fn append(store: &Store, items: Vec<Append>) -> Result<(), StoreError> {
    store.append(items).await?.into_iter().try_for_each(|outcome| outcome.map(drop))
}

fn appending(what: &'static str, items: impl Fn() -> Vec<Append> + Send + Sync + Copy + 'static) -> Ask {
    ask(what, move |store, _| append(store, items()).boxed())
}

fn signals(audience: Audience, numbers: std::ops::Range<u64>) -> Vec<Append> {
    numbers.map(|n| signal(&audience, n)).collect()
}

/// Takes the batch of the neighbour's feed that follows what is held.
async fn import(store: &Store, batches: &[StoredBatch]) -> Result<(), StoreError> {
    let of = feed("bolt/all");
    let held = store.size(&of);
    // Where it was stored and called refused, it is asked for again.
    let Some(batch) = batches.iter().find(|batch| batch.first == held).cloned() else { return Ok(()) };
    let checkpoint = SignedCheckpoint::open(batch.checkpoint, &alliance(), |_| Some(key("bolt").public())).expect("signed");
    let import = Import::verify(&store.frontier(&of), batch.leaves, checkpoint).expect("fits");
    store.import(import).await.map(drop)
}

/// A neighbour's feed as it grew: signals, some of them withdrawn and erased.
async fn neighbour() -> Neighbour {
    let store = Store::open_model(&ModelDisk::new(), owner("bolt", &HandClock::new())).expect("opens");
    let said = [
        signals(all(), 5_000..5_040),
        vec![retraction(&all(), Seq::new(3), 1)],
        vec![erasure(&all(), &[Seq::new(5), Seq::new(36)], 2)],
    ];
    let mut batches = Vec::new();
    for items in said {
        let held = store.size(&feed("bolt/all"));
        append(&store, items).await.expect("durable");
        batches.extend(store.batch_after(&feed("bolt/all"), held).expect("readable"));
    }
    batches.into()
}

/// Both histories of a member that signed two.
fn fork() -> ForkProof {
    let of = feed("cup/all");
    let sign = |byte: u8| {
        let root = countermark::feed::leaf_hash(&[byte]);
        SignedCheckpoint::sign(Checkpoint { feed: of.clone(), size: Seq::new(1), root }, &alliance(), &key("cup"))
    };
    ForkProof::new(sign(1), sign(2), vec![], vec![]).expect("a fork")
}

fn receipt() -> (ErasureReceipt, bytes::Bytes) {
    let at = Timestamp::from_unix_ms(NOW_MS);
    let progress = ErasureProgress { removed: Seq::new(30), removed_at: at, purged: Seq::new(0), purged_at: at };
    let receipt = ErasureReceipt { feed: feed(OWN), holder: id("bolt"), progress };
    let note = receipt.sign(&alliance(), &key("bolt"));
    (receipt, note)
}

fn check(n: u64) -> CheckRecord {
    CheckRecord {
        checked_at: Timestamp::from_unix_ms(NOW_MS),
        kinds: vec![IdentifierKind::Phone],
        pseudonyms: pseudonyms("k1", n),
        judgment: Judgment { verdict: Verdict::Alleged, reasons: [Reason::AllegedByMember].into(), score: 20 },
        members_elsewhere: 1,
        omitted: 0,
        own_omitted: 0,
        matches: vec![],
        freshness: Arc::new(FreshnessRecord { as_of: Timestamp::from_unix_ms(4), feeds: vec![] }),
    }
}

fn watch(n: u64) -> Watch {
    let made_at = Timestamp::from_unix_ms(NOW_MS);
    Watch {
        kinds: vec![IdentifierKind::Phone],
        pseudonyms: pseudonyms("k1", n),
        made_at,
        until: made_at.plus_days(30),
        label: format!("watch {n}"),
        standing: Standing::UNKNOWN,
    }
}

fn made(n: u64) -> Override {
    Override {
        verdict: Verdict::KnownGood,
        kinds: vec![IdentifierKind::Phone],
        pseudonyms: pseudonyms("k1", n),
        made_at: Timestamp::from_unix_ms(NOW_MS),
        until: None,
        note: "by contract".into(),
    }
}

fn charge(request: u8) -> Charge {
    Charge {
        member: id("bolt"),
        key: "k1".parse().expect("valid"),
        class: KeyClass::LowEntropy,
        day: 20_833,
        count: 10,
        budget: 1_000,
        request: [request; 16],
        digest: [request; 32],
    }
}

fn audit_record() -> AuditRecord {
    let actor = Actor { client: "analyst".parse().expect("valid"), certificate: "0a".into() };
    AuditRecord { at: Timestamp::from_unix_ms(NOW_MS), actor, kind: AuditKind::Export, reference: OWN.into(), count: 1 }
}

/// One of each kind, in an order in which each has something to do.
/// A roster so large that it is kept in parts.
fn roster_note() -> bytes::Bytes {
    static NOTE: OnceLock<bytes::Bytes> = OnceLock::new();
    let member = |name: &str| Member {
        id: id(name),
        kind: MemberKind::Brand,
        name: name.repeat(30_000),
        state: MemberState::Active,
        address: String::new(),
        feed_key: key(name).public(),
    };
    let roster =
        || Roster { members: vec![member(ME), member("bolt")], ..Roster::first(alliance(), "2027-01-01T00:00:00Z".into()) };
    NOTE.get_or_init(|| SignedRoster::sign(roster(), &key("secretariat")).expect("valid").note().clone()).clone()
}

fn script(bolt: &Neighbour) -> Vec<Ask> {
    let importing = |what| {
        let bolt = bolt.clone();
        ask(what, move |store, _| {
            let bolt = bolt.clone();
            async move { import(store, &bolt).await }.boxed()
        })
    };
    vec![
        ask("roster", |store, _| store.put_roster(roster_note()).boxed()),
        appending("signals", || signals(all(), 0..20)),
        appending("signals of a group", || signals(luxury(), 100..103)),
        ask("watches", |store, _| store.put_watches(vec![watch(5_001), watch(7)]).map(|ids| ids.map(drop)).boxed()),
        appending("retraction", || vec![retraction(&all(), Seq::new(2), 11)]),
        importing("first import"),
        importing("second import"),
        importing("third import"),
        appending("amendment", || vec![amendment(&all(), Seq::new(4), 12)]),
        appending("rekeying", || vec![rekeying(&all(), Seq::new(6), 6, 13)]),
        appending("opinion", || vec![opinion(&all(), SignalRef { feed: feed("bolt/all"), seq: Seq::new(1) }, 14)]),
        ask("several at once", |store, _| {
            async move {
                let told = join_all([
                    append(store, signals(all(), 20..30)).boxed(),
                    append(store, signals(luxury(), 103..105)).boxed(),
                    store.put_override(made(1)).map(|id| id.map(drop)).boxed(),
                    append(store, signals(all(), 15..40)).boxed(),
                ]);
                told.await.into_iter().collect()
            }
            .boxed()
        }),
        appending("erasure", || vec![erasure(&all(), &[Seq::new(1), Seq::new(6), Seq::new(24)], 15)]),
        ask("purge", |store, _| store.purge().map(|purged| purged.map(drop)).boxed()),
        appending("second erasure", || vec![erasure(&luxury(), &[Seq::new(0)], 16)]),
        ask("expiry", |store, _| {
            let seqs = vec![Seq::new(0), Seq::new(17), Seq::new(18)];
            store.expire(feed("bolt/all"), seqs).map(|expired| expired.map(drop)).boxed()
        }),
        ask("second purge", |store, _| store.purge().map(|purged| purged.map(drop)).boxed()),
        ask("quarantine", |store, _| store.quarantine(fork()).boxed()),
        ask("behind", |store, _| store.mark_behind(feed("acme/luxury"), Seq::new(50)).boxed()),
        ask("receipt", |store, _| {
            let (receipt, note) = receipt();
            store.put_receipt(receipt, note).boxed()
        }),
        ask("checks", |store, told| {
            async move {
                let records = vec![check(1), check(2)];
                let references = store.record_checks(records.clone()).await?;
                told.checks.lock().extend(references.into_iter().zip(records));
                Ok(())
            }
            .boxed()
        }),
        ask("looks", |store, _| {
            let settled = store.looks(10).into_iter().map(|look| (look, Standing::UNKNOWN, None)).collect();
            store.settle_looks(settled).boxed()
        }),
        ask("look again", |store, _| store.look_again().boxed()),
        ask("delivery", |store, _| {
            async move {
                let Some((alert, _)) = store.alerts(None, 1)?.pop() else { return Ok(()) };
                store.note_delivery(alert, Delivered::Taken).await
            }
            .boxed()
        }),
        ask("end of a watch", |store, _| {
            async move {
                let (watch, _) = store.watches(None, 1)?.pop().expect("one");
                store.remove_watches(vec![watch]).await.map(drop)
            }
            .boxed()
        }),
        ask("override", |store, _| store.put_override(made(2)).map(|id| id.map(drop)).boxed()),
        ask("end of an override", |store, _| {
            let (id, _) = store.overrides(None, 1).pop().expect("one");
            store.remove_override(id).map(|held| held.map(drop)).boxed()
        }),
        ask("charge", |store, _| store.charge(charge(1)).map(|charged| charged.map(drop)).boxed()),
        ask("second charge", |store, _| store.charge(charge(2)).map(|charged| charged.map(drop)).boxed()),
        ask("audit", |store, _| store.note_audit(vec![audit_record(), audit_record()]).boxed()),
        ask("rebuild", |store, _| store.rebuild().boxed()),
        appending("signals at last", || signals(all(), 40..60)),
    ]
}

/// All that a store shows, but for the moments at which erasures were carried out.
fn picture(store: &Store) -> Result<String, StoreError> {
    let mut text = String::new();
    let mut line = |line: String| writeln!(text, "{line}").expect("memory");
    for summary in store.feeds() {
        let feed = &summary.feed;
        line(format!("{feed} {} {:?} {:?}", summary.size, summary.root, summary.checkpoint));
        let (live, unread, missing) = (summary.live_signals, summary.not_understood, summary.missing);
        line(format!("{live} {unread} {missing} {:?} {:?}", summary.view_digest, store.feed_state(feed)));
        line(format!("{:?}", store.run_of(feed, Seq::ZERO, 1_000)?));
        line(format!("{:?} {:?}", store.erasures(feed), store.erasure_progress(feed).map(|p| (p.removed, p.purged))));
        line(format!("{:?}", store.receipt(feed, &id("bolt"))));
    }
    for n in (0..120).chain(5_000..5_050) {
        let found: Vec<_> = store.positions(&pseudonym(n)).into_iter().map(|at| (store.feed_of(at), at.seq())).collect();
        line(format!("{n} {found:?} {}", store.is_watched(&pseudonym(n))));
    }
    line(format!("{:?}", store.find_submission(&all(), &tag(7))?));
    line(format!("{:?} {:?}", store.forks().iter().map(|(feed, _)| feed).collect::<Vec<_>>(), store.index_rows()));
    line(format!("{:?}", store.roster().map(|note| note.len())));
    line(format!("{:?} {:?}", store.watches(None, 10)?, store.looks(10).iter().map(|look| look.watch).collect::<Vec<_>>()));
    line(format!("{:?} {:?}", store.alerts(None, 10)?, store.delivered_until()));
    line(format!("{:?}", store.overrides(None, 10)));
    line(format!("{:?}", store.usage(0, 10)?));
    line(format!("{:?}", store.audit(Seq::ZERO, 10)?.records));
    Ok(text)
}

/// The lines in which two pictures differ.
fn difference(now: &str, expected: &str) -> String {
    let lines = now.lines().zip(expected.lines()).filter(|(now, expected)| now != expected);
    lines.fold(String::new(), |text, (now, expected)| format!("{text}is       {now}\nexpected {expected}\n"))
}

/// A feed is whole, and what its newest checkpoint covers; what is derived is what a look at the whole log gives.
async fn is_sound(store: &Store) {
    for summary in store.feeds() {
        let leaves = store.run_of(&summary.feed, Seq::ZERO, 1_000).expect("readable");
        let mut frontier = countermark::feed::Frontier::empty();
        leaves.iter().for_each(|leaf| frontier.push(leaf.hash()));
        assert_eq!((frontier.size(), frontier.root()), (summary.size, summary.root), "{}", summary.feed);
        let member = key(summary.feed.member.as_str());
        let checkpoint = SignedCheckpoint::open(summary.checkpoint.clone(), &alliance(), |_| Some(member.public()));
        let checkpoint = checkpoint.expect("signed by its member");
        assert_eq!((checkpoint.checkpoint().size, checkpoint.checkpoint().root), (summary.size, summary.root));
    }
    let before = picture(store).expect("readable");
    store.rebuild().await.expect("durable");
    let after = picture(store).expect("readable");
    assert!(after == before, "a rebuild gives something else:\n{}", difference(&after, &before));
}

/// What a run without a failure shows: after so many requests, and the steps that the disk had taken by then.
struct Clean {
    pictures: Vec<String>,
    counts: Vec<(u64, u64)>,
}

async fn clean(bolt: &Neighbour) -> Clean {
    let (disk, told) = (ModelDisk::new(), Told::default());
    let store = Store::open_model(&disk, owner(ME, &HandClock::new())).expect("opens");
    let mut clean = Clean { pictures: vec![picture(&store).expect("readable")], counts: vec![disk.counts()] };
    for Ask { what, ask } in script(bolt) {
        ask(&store, &told).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        clean.counts.push(disk.counts());
        clean.pictures.push(picture(&store).expect("readable"));
    }
    assert_eq!(store.feed_state(&feed("acme/luxury")), FeedState::Behind);
    is_sound(&store).await;
    clean
}

/// A store whose disk fails once, and what it came to.
struct Trial {
    disk: ModelDisk,
    clock: Arc<HandClock>,
    told: Told,
    store: Option<Store>,
    /// What goes wrong, for whoever reads of a failure.
    fault: DiskFault,
    /// A backup that is taken meanwhile, if it is, and after how many requests it is begun.
    backup: Option<Backup>,
    pieces: Vec<Piece>,
    backup_from: Option<usize>,
}

impl Trial {
    fn new(fault: DiskFault) -> Self {
        Self::on(ModelDisk::new(), fault)
    }

    fn on(disk: ModelDisk, fault: DiskFault) -> Self {
        let clock = HandClock::new();
        let store = Store::open_model(&disk, owner(ME, &clock)).expect("opens");
        let (backup, pieces, backup_from) = (None, Vec::new(), None);
        Self { disk, clock, told: Told::default(), store: Some(store), fault, backup, pieces, backup_from }
    }

    /// Takes a backup from the so many-th request on.
    fn with_backup(self, from: u64) -> Self {
        Self { backup_from: usize::try_from(from).ok(), ..self }
    }

    /// One more piece of the backup. One that was begun before the machine was started again is begun anew.
    async fn copy_on(&mut self, request: usize) {
        if self.backup_from.is_none_or(|from| request < from) {
            return;
        }
        if self.backup.is_none() {
            self.pieces.clear();
            self.backup = Some(self.store().back_up(None).await.expect("begins"));
        }
        let backup = self.backup.as_mut().expect("begun");
        self.pieces.extend(backup.next_piece().expect("readable"));
    }

    /// What is put back of it shows what the store does.
    async fn is_copied(&mut self) {
        let Some(mut backup) = self.backup.take() else { return };
        loop {
            let piece = match backup.next_piece().expect("readable") {
                Some(piece) => piece,
                None => self.store().end_backup(&mut backup).await.expect("ends"),
            };
            let is_last = piece.is_last();
            self.pieces.push(piece);
            if is_last {
                break;
            }
        }
        let (disk, secretariat) = (ModelDisk::new(), key("secretariat").public());
        let mut restoration = Restoration::begin_model(&disk, alliance(), id(ME), secretariat).expect("an empty disk");
        std::mem::take(&mut self.pieces).into_iter().for_each(|piece| restoration.put(piece).expect("rows"));
        let verified = restoration.finish(self.clock.now()).expect("is put back");
        assert_eq!(verified.flaws, Vec::<String>::new(), "{:?}", self.fault);
        let restored = Store::open_model(&disk, owner(ME, &self.clock)).expect("opens");
        let (now, then) = (picture(&restored).expect("readable"), picture(self.store()).expect("readable"));
        assert!(now == then, "{:?}: put back:\n{}", self.fault, difference(&now, &then));
    }

    fn store(&self) -> &Store {
        self.store.as_ref().expect("open")
    }

    /// The machine is started again; with the first thing that is asked for, the store goes on with what it had begun.
    async fn restart(&mut self) {
        self.disk.crash();
        (self.backup, self.store) = (None, None);
        self.disk.mend();
        self.disk.set_full(false);
        let opened = Store::open_model(&self.disk, owner(ME, &self.clock));
        self.store = Some(opened.unwrap_or_else(|error| panic!("{:?}: {error}", self.fault)));
        self.nudge().await;
    }

    /// There is room again, and writing resumes by itself.
    async fn make_room(&mut self) {
        self.disk.set_full(false);
        self.disk.mend();
        self.clock.pass_ms(61_000);
        self.nudge().await;
    }

    /// Asks for something that changes nothing.
    async fn nudge(&self) {
        let nudged = self.store().remove_watches(vec![]).await;
        nudged.unwrap_or_else(|error| panic!("{:?}: does not go on: {error}", self.fault));
        assert_eq!(self.store().health().problem, None, "{:?}", self.fault);
    }

    async fn recover(&mut self) {
        if self.fault.kind == FaultKind::Full { self.make_room().await } else { self.restart().await }
    }

    /// Goes through the script, and through the failure.
    async fn run(&mut self, bolt: &Neighbour, clean: &Clean) {
        let mut failed = false;
        for (i, Ask { what, ask }) in script(bolt).into_iter().enumerate() {
            let place = format!("{:?} in {what}", self.fault);
            if ask(self.store(), &self.told).await.is_err() {
                assert!(!failed, "{place}: fails once");
                failed = true;
                self.recover().await;
                let now = picture(self.store()).unwrap_or_else(|error| panic!("{place}: {error}"));
                let (before, after) = (&clean.pictures[i], &clean.pictures[i + 1]);
                let in_one_step = clean.counts[i + 1].0 - clean.counts[i].0 <= 1;
                assert!(
                    now == *before || now == *after || !in_one_step,
                    "{place}: half of it is there:\n{}",
                    difference(&now, before)
                );
                if now != *after {
                    let again = ask(self.store(), &self.told).await;
                    again.unwrap_or_else(|error| panic!("{place}: again: {error}"));
                }
            } else if self.store().health().problem.is_some() {
                // What was asked for is done; what the store does by itself afterwards failed.
                assert!(!failed, "{place}: fails once");
                failed = true;
                self.recover().await;
            }
            let now = picture(self.store()).unwrap_or_else(|error| panic!("{place}: {error}"));
            let expected = &clean.pictures[i + 1];
            assert!(now == *expected, "{place}: not where it would have been:\n{}", difference(&now, expected));
            self.copy_on(i).await;
        }
        for (reference, record) in &*self.told.checks.lock() {
            let read = self.store().check(reference).expect("readable");
            assert_eq!(read.as_ref(), Some(record), "{:?}: an answered check is gone", self.fault);
        }
        self.is_copied().await;
        self.restart().await;
        let (now, last) = (picture(self.store()).expect("readable"), &clean.pictures[clean.pictures.len() - 1]);
        assert!(now == *last, "{:?}: after a start:\n{}", self.fault, difference(&now, last));
        is_sound(self.store()).await;
    }
}

/// The faults that a step can meet.
fn faults(step: u64) -> impl Iterator<Item = DiskFault> {
    let kinds = [FaultKind::Refused, FaultKind::Full, FaultKind::PowerCut];
    let remains = [Remains::Nothing, Remains::Shown, Remains::Forced];
    kinds.into_iter().flat_map(move |kind| remains.map(|remains| DiskFault { moment: Moment::Step(step), kind, remains }))
}

#[tokio::test]
async fn a_failure_at_any_step_costs_nothing_that_was_acknowledged() {
    let bolt = neighbour().await;
    let clean = clean(&bolt).await;
    let (first, last) = (clean.counts[0].0, clean.counts[clean.counts.len() - 1].0);
    assert!(last - first >= 30, "the script takes {} steps", last - first);
    for step in first..last {
        for fault in faults(step) {
            let mut trial = Trial::new(fault).with_backup(step % 30);
            trial.disk.fail(DiskFault { moment: Moment::Step(step - first), ..fault });
            trial.run(&bolt, &clean).await;
        }
    }
}

#[tokio::test]
async fn a_start_that_fails_at_any_step_can_be_tried_again() {
    let bolt = neighbour().await;
    let clean = clean(&bolt).await;
    let (first, last) = clean.counts[0];
    for moment in (0..first).map(Moment::Step).chain((0..last).map(Moment::Read)) {
        let is_look = matches!(moment, Moment::Read(_));
        for fault in faults(0).take(if is_look { 1 } else { usize::MAX }) {
            let (disk, fault) = (ModelDisk::new(), DiskFault { moment, ..fault });
            disk.fail(fault);
            drop(Store::open_model(&disk, owner(ME, &HandClock::new())));
            disk.crash();
            disk.mend();
            disk.set_full(false);
            let store = Store::open_model(&disk, owner(ME, &HandClock::new()));
            let store = store.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
            assert_eq!(picture(&store).expect("readable"), clean.pictures[0], "{fault:?}");
        }
    }
}

/// Where a look fails the request does, or what is done beside it waits; nothing is lost by it.
#[tokio::test]
async fn a_look_that_fails_costs_nothing_that_was_acknowledged() {
    let bolt = neighbour().await;
    let clean = clean(&bolt).await;
    for (i, (before, looks)) in disks_before(&bolt).await.into_iter().enumerate() {
        for look in 0..looks {
            let fault = DiskFault { moment: Moment::Read(look), kind: FaultKind::Refused, remains: Remains::Nothing };
            let mut trial = Trial::on(before.copy(), fault);
            trial.disk.fail(DiskFault { moment: Moment::Read(look), ..fault });
            let Ask { what, ask } = script(&bolt).into_iter().nth(i).expect("in the script");
            let told = ask(trial.store(), &trial.told).await;
            trial.restart().await;
            let now = picture(trial.store()).expect("readable");
            let (before, after) = (&clean.pictures[i], &clean.pictures[i + 1]);
            let in_one_step = clean.counts[i + 1].0 - clean.counts[i].0 <= 1;
            assert!(told.is_err() || now == *after || !in_one_step, "{what}, look {look}: acknowledged and lost");
            let half = difference(&now, before);
            assert!(now == *before || now == *after || !in_one_step, "{what}, look {look}: half of it is there:\n{half}");
            is_sound(trial.store()).await;
        }
    }
}

/// The disk as it is before each request, and how often the request looks at its rows.
async fn disks_before(bolt: &Neighbour) -> Vec<(ModelDisk, u64)> {
    let (disk, told) = (ModelDisk::new(), Told::default());
    let store = Store::open_model(&disk, owner(ME, &HandClock::new())).expect("opens");
    let mut disks = Vec::new();
    for Ask { ask, .. } in script(bolt) {
        let (before, looks) = (disk.copy(), disk.counts().1);
        ask(&store, &told).await.expect("nothing fails");
        disks.push((before, disk.counts().1 - looks));
    }
    disks
}
