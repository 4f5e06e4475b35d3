use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::housekeeping::Housekeeping;
use super::monitoring::Counted;
use super::{NodeSetup, Options, Rights, StartError, Store, Tls, WebhookSetup};
use crate::domain::limits::{DELIVERY_FIRST_PAUSE, DELIVERY_LAST_PAUSE};
use crate::domain::{Clock, Entropy, MemberId};
use crate::feed::SigningKey;
use crate::membership::{Directory, Liveness};
use crate::pseudonym::{KeyRing, PseudonymCache, PseudonymError};
use crate::replication::{OwnFeeds, Pace, Reader, Replicator, ServeContext, Setup};
use crate::rpc::acceptor::OpenConnections;
use crate::rpc::webhook::Webhook;
use crate::rpc::{
    AccessList, AuditServer, CaseServer, HolderLink, KeyHolderServer, KeyServer, LeadServer, NodeServer, PeerDialer,
    ScreeningServer, SignalServer,
};
use crate::service::{
    AccuracyBoard, AuditTrail, Cases, Ceremonies, CeremonyDesk, CeremonyPace, Deliveries, Eraser, EvidenceShelf,
    FreshnessBoard, HolderBoard, HolderDesk, KeyHolder, KeySecrets, KeyStates, Leads, LocalSecret, NodeState, Overrides,
    Pseudonymiser, ReloadDesk, Retention, Rings, Screener, ShareBook, ShareVault, Signals, Submitter, Turns, WalkBounds,
    Watcher, Watches,
};

/// What can fail, opened and compared: the store, the roster, and the keys that it names.
pub(super) struct Ground {
    pub(super) store: Arc<Store>,
    pub(super) directory: Arc<Directory>,
    secrets: Arc<dyn KeySecrets>,
    vault: Arc<dyn ShareVault>,
    shelf: Arc<dyn EvidenceShelf>,
    cache: PseudonymCache,
    ceremony_pace: CeremonyPace,
    secret: Arc<LocalSecret>,
    access: Arc<ArcSwap<AccessList>>,
    addresses: BTreeMap<MemberId, String>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    feed_key: Arc<SigningKey>,
    webhook: Option<Webhook>,
    pace: Pace,
    own_feeds: OwnFeeds,
    reloads: ReloadDesk,
}

impl Ground {
    pub(super) async fn open(setup: NodeSetup) -> Result<Self, StartError> {
        let feed_key = Arc::new(setup.feed_key);
        let webhook = |WebhookSetup { url, ca, secret }| Webhook::new(url, &ca, &secret, setup.clock.clone());
        let webhook = setup.webhook.map(webhook).transpose()?;
        let options = Options {
            folder: setup.data_dir,
            cache_bytes: setup.cache_bytes,
            alliance: setup.alliance.clone(),
            member: setup.member.clone(),
            key: feed_key.clone(),
            clock: setup.clock.clone(),
            entropy: setup.entropy.clone(),
        };
        let opened = tokio::task::spawn_blocking(move || Store::open(options)).await;
        let store = Arc::new(opened.map_err(std::io::Error::other)??);
        let directory = Directory::open(setup.alliance, setup.member, setup.secretariat, store.clone(), setup.roster).await?;
        let directory = Arc::new(directory);
        let listed = directory.roster().roster().member(directory.member()).map(|m| m.feed_key);
        if listed != Some(feed_key.public()) {
            return Err(StartError::WrongFeedKey);
        }
        KeyRing::check(&directory.roster().roster().keys, setup.secrets.secrets())?;
        Ok(Self {
            store,
            directory,
            secrets: setup.secrets,
            vault: setup.vault,
            shelf: setup.shelf,
            cache: PseudonymCache::new(setup.cached_pseudonyms, &*setup.entropy)
                .map_err(|error| StartError::Pseudonym(PseudonymError::Entropy(error)))?,
            ceremony_pace: setup.ceremony_pace,
            secret: Arc::new(setup.local_secret),
            access: Arc::new(ArcSwap::from_pointee(setup.access)),
            addresses: setup.addresses,
            clock: setup.clock,
            feed_key,
            webhook,
            entropy: setup.entropy,
            pace: setup.pace,
            own_feeds: setup.own_feeds,
            reloads: setup.reloads,
        })
    }
}

/// The use cases and what they stand on.
pub(super) struct Parts {
    pub(super) store: Arc<Store>,
    pub(super) directory: Arc<Directory>,
    pub(super) serve: Arc<ServeContext>,
    pub(super) holder: KeyHolderServer,
    pub(super) keys: KeyServer,
    pub(super) signals: SignalServer,
    pub(super) cases: CaseServer,
    pub(super) leads: LeadServer,
    pub(super) audit: AuditServer,
    pub(super) screening: ScreeningServer,
    pub(super) watches: Arc<Watches>,
    pub(super) node: NodeServer,
    pub(super) access: Arc<ArcSwap<AccessList>>,
    pub(super) state: Arc<NodeState>,
    pub(super) counted: Counted,
    pseudonymiser: Arc<Pseudonymiser>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Parts {
    /// Starts replication among `tasks`, and puts the services on top.
    pub(super) fn on(
        ground: Ground,
        tls: &Tls,
        tasks: &TaskTracker,
        serving: &CancellationToken,
        working: &CancellationToken,
    ) -> Self {
        let Ground {
            store,
            directory,
            secrets,
            vault,
            shelf,
            cache,
            ceremony_pace,
            secret,
            access,
            addresses,
            clock,
            entropy,
            feed_key,
            webhook,
            pace,
            own_feeds,
            reloads,
        } = ground;
        let liveness = Arc::new(Liveness::new());
        let dialer = Arc::new(PeerDialer { alliance: directory.alliance().clone(), tls: tls.dialling.clone(), addresses });
        let book = Arc::new(ShareBook::new(vault));
        let holder =
            KeyHolder::new(store.clone(), directory.clone(), book.clone(), feed_key.clone(), clock.clone(), entropy.clone());
        let holder = Arc::new(holder);
        let link = Arc::new(HolderLink::new(dialer.clone(), directory.clone(), holder.clone()));
        let ceremonies = Arc::new(Ceremonies {
            book,
            directory: directory.clone(),
            fellows: link.clone(),
            feed_key: feed_key.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
            pace: ceremony_pace,
            desk: CeremonyDesk::default(),
        });
        tasks.spawn(ceremonies.clone().run(directory.subscribe(), working.clone()));
        let key_holders = Arc::new(HolderBoard::new(directory.clone(), clock.clone()));
        let desk = HolderDesk::new(directory.clone(), link, key_holders.clone(), entropy.clone(), clock.clone(), shelf, cache);
        let desk = Arc::new(desk);
        let pseudonymiser = Arc::new(Pseudonymiser::new(directory.clone(), secrets, desk, clock.clone()));
        let reader = Reader::new(store.clone(), tasks.clone());
        let replication = Setup {
            reader: reader.clone(),
            directory: directory.clone(),
            liveness: liveness.clone(),
            dialer,
            clock: clock.clone(),
            entropy: entropy.clone(),
            pace,
            own: own_feeds,
        };
        let replicator = Arc::new(Replicator::spawn(replication, tasks, working.clone()));
        let freshness = Arc::new(FreshnessBoard::new(store.clone(), directory.clone(), liveness, clock.clone()));
        let submitter = Submitter {
            store: store.clone(),
            directory: directory.clone(),
            pseudonymiser: pseudonymiser.clone(),
            secret: secret.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
        };
        let accuracy = Arc::new(AccuracyBoard::new(store.clone(), directory.clone(), clock.clone()));
        let screener = Screener::new(
            store.clone(),
            directory.clone(),
            pseudonymiser.clone(),
            freshness.clone(),
            accuracy.clone(),
            clock.clone(),
            &secret,
        );
        let overrides = Overrides {
            store: store.clone(),
            directory: directory.clone(),
            pseudonymiser: pseudonymiser.clone(),
            clock: clock.clone(),
        };
        let signals = Arc::new(Signals {
            store: store.clone(),
            directory: directory.clone(),
            secret: secret.clone(),
            clock: clock.clone(),
            entropy,
            leads: tokio::sync::Mutex::default(),
        });
        let cases = Arc::new(Cases {
            store: store.clone(),
            directory: directory.clone(),
            signals: signals.clone(),
            pseudonymiser: pseudonymiser.clone(),
            secret,
            clock: clock.clone(),
            recording: tokio::sync::Mutex::default(),
        });
        let eraser = Arc::new(Eraser { store: store.clone(), directory: directory.clone(), signals: signals.clone() });
        let retention =
            Retention { store: store.clone(), directory: directory.clone(), eraser: eraser.clone(), clock: clock.clone() };
        let watches = Arc::new(Watches {
            store: store.clone(),
            directory: directory.clone(),
            pseudonymiser: pseudonymiser.clone(),
            clock: clock.clone(),
        });
        let screener = Arc::new(screener);
        let watcher = Watcher { store: store.clone(), screener: screener.clone(), clock: clock.clone() };
        tasks.spawn(watcher.run(working.clone()));
        let deliveries = webhook.map(|webhook| {
            let status = Arc::default();
            let sink = Arc::new(webhook);
            let deliveries = Deliveries {
                store: store.clone(),
                sink,
                pauses: (DELIVERY_FIRST_PAUSE, DELIVERY_LAST_PAUSE),
                clock: clock.clone(),
                status: Arc::clone(&status),
            };
            tasks.spawn(deliveries.run(working.clone()));
            status
        });
        let audit = Arc::new(AuditTrail::new(store.clone(), directory.clone(), clock.clone()));
        tasks.spawn(audit.clone().run(working.clone()));
        let housekeeping = Housekeeping {
            store: store.clone(),
            retention,
            watches: watches.clone(),
            audit: audit.clone(),
            clock: clock.clone(),
        };
        tasks.spawn(housekeeping.run(working.clone()));
        let rings = Rings {
            store: store.clone(),
            directory: directory.clone(),
            freshness: freshness.clone(),
            pseudonymiser: pseudonymiser.clone(),
            signals: signals.clone(),
            clock: clock.clone(),
            searches: Turns::default(),
            bounds: WalkBounds::default(),
        };
        let leads = Leads {
            store: store.clone(),
            directory: directory.clone(),
            signals: signals.clone(),
            rings: Arc::new(rings),
            clock: clock.clone(),
        };
        let state = NodeState {
            store: store.clone(),
            directory: directory.clone(),
            freshness,
            pseudonymiser: pseudonymiser.clone(),
            key_holders,
            replicator,
            accuracy,
            deliveries,
            deadlines: tls.deadlines.clone(),
            clock: clock.clone(),
            started_at: clock.now(),
        };
        let (state, counted) = (Arc::new(state), Counted::default());
        Self {
            keys: KeyServer {
                keys: Arc::new(KeyStates {
                    directory: directory.clone(),
                    ceremonies: ceremonies.clone(),
                    signals: signals.clone(),
                    store: store.clone(),
                }),
                access: access.clone(),
            },
            holder: KeyHolderServer { holder, ceremonies },
            serve: Arc::new(ServeContext::new(reader, directory.clone(), pace, feed_key)),
            signals: SignalServer {
                submitter: Arc::new(submitter),
                signals,
                cases: cases.clone(),
                eraser,
                access: access.clone(),
                submissions: counted.submissions.clone(),
            },
            leads: LeadServer { leads: Arc::new(leads), audit: audit.clone(), access: access.clone() },
            audit: AuditServer { audit: audit.clone(), access: access.clone() },
            cases: CaseServer { cases, access: access.clone() },
            screening: ScreeningServer {
                screener,
                overrides: Arc::new(overrides),
                watches: watches.clone(),
                audit,
                access: access.clone(),
                checks: counted.checks.clone(),
            },
            watches,
            node: NodeServer {
                state: state.clone(),
                access: access.clone(),
                calls: counted.calls.clone(),
                reloads,
                shutdown: serving.clone(),
            },
            state,
            counted,
            store,
            directory,
            access,
            pseudonymiser,
            clock,
        }
    }

    /// Who may come in and stay.
    pub(super) fn rights(&self, tls: Tls, peers: OpenConnections, clients: OpenConnections) -> Rights {
        Rights {
            directory: self.directory.clone(),
            pseudonymiser: self.pseudonymiser.clone(),
            access: self.access.clone(),
            clock: self.clock.clone(),
            tls,
            peers,
            clients,
        }
    }
}
