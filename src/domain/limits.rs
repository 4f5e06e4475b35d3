//! Every bound of the program, each with its reason. A bound that a peer or client can reach has a clear error at it.

use std::time::Duration;

/// Identifiers of one seller in a signal or a check. A seller with more is split; the index cost of an entry stays small.
pub const MAX_IDENTIFIERS: usize = 32;
/// Bytes of an identifier as handed in: the longest URLs that browsers and CDNs agree on.
pub const MAX_IDENTIFIER_BYTES: usize = 2_048;
/// Pieces of evidence in a statement; more belong in the member's own case file.
pub const MAX_EVIDENCE: usize = 16;
/// Digests in one piece of evidence.
pub const MAX_DIGESTS: usize = 8;
/// Actions in a statement: each kind at most once, with room for new kinds.
pub const MAX_ACTIONS: usize = 16;
/// Characters of a rights holder's or brand's name.
pub const MAX_NAME_CHARS: usize = 120;
/// Bytes of a submission id: room for a UUID, a URL-safe hash or a composed key.
pub const MAX_SUBMISSION_ID_BYTES: usize = 128;
/// Characters of member, group, platform, key and client names.
pub const MAX_SLUG_CHARS: usize = 40;
/// Characters of the alliance's DNS name; leaves room for a member label in front of it within the 253 of RFC 1035.
pub const MAX_ALLIANCE_CHARS: usize = 100;
/// Other members' signals that one may say it was derived from.
pub const MAX_DERIVED_FROM: usize = 16;
/// Signals that one dispute, decision or referral names: as long as their names are, they fit into an entry.
pub const MAX_CASE_SIGNALS: usize = 64;
/// Digests of what a seller handed in, or a marker rests on.
pub const MAX_REBUTTAL_DIGESTS: usize = 16;
/// Amendments of one signal that count: a check reads them all.
pub const MAX_AMENDMENTS: usize = 32;
/// Disputes of one signal that count of those that one member recorded: a check reads them all.
pub const MAX_DISPUTES_BY_MEMBER: usize = 16;
/// Steps of one lead that count: a referral, what became of each of some defendants, and the same again elsewhere.
pub const MAX_LEAD_STEPS: usize = 64;
/// Leads of one feed that are kept: some ten a day for as long as leads are; a few kilobytes of memory each.
pub const MAX_LEADS_BY_FEED: usize = 16_384;
/// Other leads that are named beside a lead or a ring that rests on the same signals.
pub const MAX_OVERLAPS: usize = 64;
/// Entries in one bundle for an authority: what a lead names, and some sixty about each of these signals. At most 32 MiB.
pub const MAX_BUNDLE_ENTRIES: usize = 4_096;
/// Bytes of a bundle that are read: as many entries with their proofs in base64, twice.
pub const MAX_BUNDLE_BYTES: usize = 128 * 1_024 * 1_024;
/// Rules of thresholds in one file: a dozen for each of some laws.
pub const MAX_THRESHOLDS: usize = 64;
/// Links from the start to which a ring is followed: beyond them hardly anything belongs together.
pub const MAX_RING_DEPTH: usize = 8;
/// Sellers of one ring: as many as the largest controllers have stores.
pub const MAX_RING_SELLERS: usize = 1_000;
/// Signals of one ring: sixteen for each of as many sellers as there may be. A member that floods its feed makes no larger one.
pub const MAX_RING_SIGNALS: usize = 16_384;
/// Entries that a walk over a ring reads: each signal again for some of its identifiers. About a second.
pub const MAX_RING_READS: usize = 65_536;
/// Links of one ring: sixty-four for each of as many sellers as there may be. Half a megabyte of an answer.
pub const MAX_RING_LINKS: usize = 65_536;
/// Hubs that are named of one ring: thirty kilobytes of an answer.
pub const MAX_RING_HUBS: usize = 4_096;
/// Sellers with one identifier up to which it may link them; so many signals a few times over are read for it.
pub const MAX_HUB_SELLERS: u16 = 1_000;
/// Overrides that a member may have: they are in memory, usually about half a kibibyte each, and up to 8 KiB with 32 identifiers under
/// four keys.
pub const MAX_OVERRIDES: usize = 100_000;
/// How long a check may be in memory alone before the audit log tells of it; those of one client meanwhile are one record.
pub const AUDIT_FLUSH_INTERVAL: Duration = Duration::from_secs(1);
/// Watches that a member may have: about a hundred bytes of memory each with three identifiers, and twice that on disk.
pub const MAX_WATCHES: u64 = 2_000_000;
/// Alerts that nobody has acknowledged; beyond them watches wait to be looked at, and nothing is lost.
pub const MAX_ALERTS: u64 = 1_000_000;
/// Days that a watch may run: ten years, as long as anything is kept.
pub const MAX_WATCH_DAYS: u16 = 3_653;
/// How often watches are looked at that are not unknown: what they come to may change with time alone.
pub const LOOK_AGAIN_INTERVAL: Duration = Duration::from_secs(3_600);
/// First wait before an alert is handed to its receiver again, and the longest: a receiver that is back has it within minutes.
pub const DELIVERY_FIRST_PAUSE: Duration = Duration::from_secs(1);
/// See [`DELIVERY_FIRST_PAUSE`].
pub const DELIVERY_LAST_PAUSE: Duration = Duration::from_secs(600);
/// Times that a receiver may refuse an alert before it is set aside.
pub const MAX_REFUSED_DELIVERIES: u32 = 5;
/// Entries that one erasure names, so that what a node does about it is bounded; two bytes each and more.
pub const MAX_ERASED_AT_ONCE: usize = 1_024;
/// Entries whose content is asked for at once, where it came without an erasure: at most 2 MiB.
pub const MAX_ENTRIES_ASKED: usize = 256;
/// Days that a signal may ask to be kept: ten years, the longest limitation period among the members' laws.
pub const MAX_RETENTION_DAYS: u16 = 3_653;
/// How long beyond its end other members' content stays where its member does not erase it: time for a node that was down.
pub const RETENTION_GRACE: Duration = Duration::from_secs(30 * 86_400);
/// How often a node looks for what is kept too long: an end is a day.
pub const SWEEP_INTERVAL: Duration = Duration::from_secs(86_400);
/// How often a node has its files written anew at most, where content was removed: it costs as much as copying the store.
pub const PURGE_INTERVAL: Duration = Duration::from_secs(86_400);
/// How often a node looks whether one of the two is due.
pub const HOUSEKEEPING_INTERVAL: Duration = Duration::from_secs(900);
/// The earliest day that an observation may name: signals are about sellers on networks.
pub const EARLIEST_YEAR: i16 = 1_990;

/// Bytes of an encoded entry, so that a hostile feed cannot fill memory with one.
pub const MAX_ENTRY_BYTES: usize = 8 * 1_024;
/// Bytes of an entry's salt: 128 bits cannot be guessed.
pub const SALT_BYTES: usize = 16;
/// Keys that may be active at once, so that an entry has a bounded number of pseudonyms: one, and one that replaces it, each
/// with room for a second scheme.
pub const MAX_ACTIVE_KEYS: usize = 4;
/// Keys that may be active or retiring at once: a check is made under each of them. As many again as are active, while they
/// replace others.
pub const MAX_LIVE_KEYS: usize = 2 * MAX_ACTIVE_KEYS;
/// Rekeyings of one signal that count, the newest: a check reads them all. Each that an honest member writes adds a key that is live, so
/// that as many as there are of those hold every key under which anybody asks.
pub const MAX_REKEYINGS: usize = MAX_LIVE_KEYS;
/// Holders of one shared key: five to be robust, and room for as many again while they change.
pub const MAX_KEY_HOLDERS: usize = 16;
/// Holders of a shared key that together can use it, at least: with one alone nothing would be shared.
pub const MIN_THRESHOLD: usize = 2;
/// Bytes of the evidence against a key holder that are read: a batch twice and a roster, as JSON.
pub const MAX_EVIDENCE_BYTES: u64 = 8 * 1_024 * 1_024;
/// Bytes of what the holders of a key say of its shares: 16 of them, and 16 coefficients for each class.
pub const MAX_SHARING_BYTES: usize = 8 * 1_024;
/// Bytes of one part of a ceremony: the commitments of a participant to 16 coefficients for each class.
pub const MAX_CEREMONY_PART_BYTES: usize = 4 * 1_024;
/// How often a holder asks the others for their parts while a ceremony is at hand.
pub const CEREMONY_INTERVAL: Duration = Duration::from_secs(1);
/// How often it looks whether one is due.
pub const CEREMONY_IDLE: Duration = Duration::from_secs(30);
/// How long after a ceremony failed it is begun anew: somebody lies, or a person has to see to it.
pub const CEREMONY_RETRY: Duration = Duration::from_secs(3_600);
/// Generations that a participant goes on by at a look because another has: enough for attempts that failed, and so few that a holder
/// that names ever higher ones needs two years to use all up.
pub const MAX_GENERATIONS_AHEAD: u32 = 64;
/// Bytes of what a holder keeps of one key: with 16 holders, and as many results as are kept, it has a third of that.
pub const MAX_SHARE_RECORD_BYTES: usize = 1_024 * 1_024;
/// Results of ceremonies that a participant has signed and keeps because it has not seen that all did: beyond so many attempts that failed
/// at their very end, no other begins before the roster names other holders.
pub const MAX_SIGNED_RESULTS: usize = 64;
/// How long shares are still used after those that replace them are there: a node learns of new ones when it asks with old ones.
pub const SHARE_OVERLAP: Duration = Duration::from_secs(3_600);
/// How old shares are at least before they are made anew because another holder wants it: a hostile one cannot keep all at it.
pub const MIN_SHARE_AGE: Duration = Duration::from_secs(86_400);
/// How long a key holder may take for a batch: a hundred times what it needs.
pub const HOLDER_TIMEOUT: Duration = Duration::from_secs(10);
/// After how long at the earliest another quorum is asked beside one that is not whole yet.
pub const HEDGE_AFTER: Duration = Duration::from_secs(1);
/// Batches of identifiers that are with the holders at once, for one piece of work.
pub const MAX_BATCHES_IN_FLIGHT: usize = 4;
/// Days of which a key holder keeps what each member used: a year to be audited, and a month to look.
pub const LEDGER_DAYS: usize = 400;
/// Entries between two kept checkpoints, hence in one batch.
pub const MAX_BATCH_ENTRIES: usize = 4_096;
/// Bytes of entries after which a batch ends, so that a batch is one message of bounded size.
pub const MAX_BATCH_BYTES: usize = 1_024 * 1_024;
/// Bytes of any gRPC message on the peer listener: the largest batch with its framing, or a page of checkpoints.
pub const MAX_PEER_MESSAGE_BYTES: usize = 4 * 1_024 * 1_024;
/// Bytes of any gRPC request on the client listener, hence of a row: 32 identifiers of the longest kind take 66 KiB and a full
/// statement 10 KiB, and a newer client may send fields that this node does not know.
pub const MAX_CLIENT_MESSAGE_BYTES: usize = 128 * 1_024;
/// Bytes of any gRPC request on the peer listener: each names one feed and a size.
pub const MAX_PEER_REQUEST_BYTES: usize = 64 * 1_024;
/// Bytes of a checkpoint note: origin, size, root and a few signatures.
pub const MAX_CHECKPOINT_BYTES: usize = 1_024;
/// Bytes of a roster note: a thousand members with long names take about 400 KiB.
pub const MAX_ROSTER_BYTES: usize = 3 * 1_024 * 1_024;
/// Members of an alliance, expelled ones included.
pub const MAX_MEMBERS: usize = 5_000;
/// Groups of an alliance.
pub const MAX_GROUPS: usize = 1_000;
/// Signatures looked at in a note, so that a long note cannot buy CPU.
pub const MAX_NOTE_SIGNATURES: usize = 16;
/// Hashes of a frontier: one for each bit of a size.
pub const MAX_FRONTIER_HASHES: usize = 64;
/// Checkpoints in one listing: a full message of them, a quarter of a kibibyte each.
pub const MAX_LISTED_CHECKPOINTS: usize = 16_384;
/// Proofs of forks in one listing: half a message of the shortest, two checkpoints each.
pub const MAX_LISTED_FORKS: usize = 4_096;
/// Refusals of one peer that are logged, each once: what it asks for is its choice, and must not fill the log.
pub const MAX_LOGGED_REFUSALS: usize = 64;
/// Capabilities of another node that are remembered: some that are offered, and room for what newer ones offer.
pub const MAX_CAPABILITIES: usize = 64;
/// Feeds followed on one stream.
pub const MAX_FOLLOWED_FEEDS: usize = 4_096;

/// Rows of a stream that are worked on at once, which is enough to fill a group commit: 32 pieces of work, which together hold
/// at most 32 times [`MAX_CHUNK_BYTES`] and a row more each.
pub const MAX_ROWS_IN_FLIGHT: usize = 4_096;
/// Rows of a stream that are taken into one piece of work: few enough that all that is made of them stays in a processor's cache.
pub const MAX_ROWS_PER_CHUNK: usize = 128;
/// Bytes of rows after which a piece of work takes no further row: 128 usual rows of a few hundred bytes are well below it,
/// and 128 of the largest would be 16 MiB.
pub const MAX_CHUNK_BYTES: usize = 512 * 1_024;
/// Records in one group commit: one flush serves this many; beyond it latency grows and throughput does not.
pub const MAX_COMMIT_ENTRIES: usize = 8_192;
/// Bytes after which a group commit takes in no further request, so that one flush writes a few MiB and not what a full queue holds.
pub const MAX_COMMIT_BYTES: usize = 4 * 1_024 * 1_024;
/// Bytes of all requests that wait for the store's writer; beyond it callers wait, as they do for [`MAX_COMMIT_QUEUE`].
pub const MAX_COMMIT_QUEUE_BYTES: usize = 64 * 1_024 * 1_024;
/// How long one commit may take before the store calls itself stalled: a disk that hangs answers nothing and fails nothing.
pub const COMMIT_STALL: Duration = Duration::from_secs(30);
/// Bytes of rows after which a piece of a backup ends: two to a message, and little to send again after a broken line.
pub const MAX_BACKUP_PIECE_BYTES: usize = 1_024 * 1_024;
/// Rows changed since they were copied that the last piece of a backup may hold: whatever writes waits while they are read, some
/// tens of milliseconds.
pub const MAX_BACKUP_LAST_ROWS: usize = 1_024;
/// Keys of rows changed during a backup that are remembered, about 100 MiB of memory: at full load some hours' worth.
pub const MAX_BACKUP_CHANGES: usize = 1_000_000;
/// How long a backup that broke off can be gone on with; then what changed meanwhile is forgotten.
pub const BACKUP_RESUME_WITHIN: Duration = Duration::from_secs(3_600);
/// Bytes after which a part of a backup ends: what is fetched again at the most after a broken line.
pub const BACKUP_PART_BYTES: u64 = 64 * 1_024 * 1_024;
/// Bytes of the longest list of a backup's parts: of a hundred thousand, 6 TiB.
pub const MAX_BACKUP_MANIFEST_BYTES: u64 = 32 * 1_024 * 1_024;
/// Bytes of what is noted of a part of a backup to be gone on with: its rows at the most, as they are where all are of the roster.
pub const MAX_BACKUP_DIGEST_BYTES: u64 = 2 * BACKUP_PART_BYTES;
/// Recipients of one backup: the people who may have to restore it.
pub const MAX_BACKUP_RECIPIENTS: usize = 128;
/// Bytes of an encrypted part's header: a hundred for each recipient, and what the library puts between them. To read a longer one takes
/// it time with the square of the length.
pub const MAX_SEALED_HEADER_BYTES: usize = 16 * 1_024;
/// Flaws of a store or a backup that are told; one is enough not to trust it, and some show what they have in common.
pub const MAX_FLAWS: usize = 64;
/// Requests waiting for the store's writer; beyond it callers wait, which is the back-pressure that streams hand on.
pub const MAX_COMMIT_QUEUE: usize = 1_024;
/// Matching signals of other members listed in one answer, so that it stays below the 4 MiB that gRPC clients take; the number
/// of members stays exact.
pub const MAX_MATCHES: usize = 256;
/// Matching signals of the own member listed in one answer. They have room of their own, which no other member can fill.
pub const MAX_OWN_MATCHES: usize = 128;
/// Signals that one question reads beyond the first of each feed; the rest is counted as omitted. As many as are listed: a flood
/// on a seller must not slow the answers about it, and matches that fall away when the whole pseudonym is compared are made by
/// who writes 64 bits of it himself, into a feed that loses its own place by it.
pub const MAX_POSTINGS_READ: usize = MAX_MATCHES;
/// How long the answer of a check can be read again.
pub const CHECK_RETENTION: Duration = Duration::from_secs(365 * 86_400);
/// Signals on a page of a listing.
pub const MAX_PAGE: usize = 1_000;
/// Bytes of entries after which a page of a listing ends: well below the 4 MiB that gRPC clients take.
pub const MAX_PAGE_BYTES: usize = 1_024 * 1_024;
/// Fork proofs kept for one feed; one is enough to prove it.
pub const MAX_FORKS_PER_FEED: usize = 1;

/// Time for a TLS handshake, so that a silent caller does not hold a socket.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Handshakes under way at once on one listener, beside the connections that are open: all members of an alliance after a restart, behind
/// one address if they must. One more takes the place of one of the network that has the most.
pub const MAX_HANDSHAKES: usize = 1_024;
/// Connections open at once on one listener: a thousand members with a reconnection each, or a thousand client processes.
pub const MAX_CONNECTIONS: usize = 2_048;
/// Connections open at once of one node on the peer listener: one, its successor after a broken line, and the same again while
/// its member moves it. The newest one takes the place of the oldest.
pub const MAX_CONNECTIONS_PER_NODE: usize = 4;
/// Other unary calls at hand on one listener: with the largest requests and answers some hundred megabytes, with usual ones a few.
pub const MAX_CALLS: usize = 2_048;
/// The same of one caller, so that others have room. As for every kind of call, nobody has more places than are left, either, and of the
/// last quarter one.
pub const MAX_CALLS_EACH: usize = 1_024;
/// Streams of rows at hand on one listener: each may hold some 16 MiB of rows that are worked on.
pub const MAX_ROW_STREAMS: usize = 64;
/// The same of one caller: where the holders of a key are far away, so many of them still keep a node busy; more are no faster.
pub const MAX_ROW_STREAMS_EACH: usize = 16;
/// Threads for each processor that read the store for single calls and compute for them: some wait for the disk while others work. More
/// would take the processors from those that read and answer, and each keeps memory of its own.
pub const READERS_PER_PROCESSOR: usize = 16;
/// The same for rows of streams, of which many more come at once: they would otherwise get nearly all of the processors.
pub const ROW_READERS_PER_PROCESSOR: usize = 4;
/// Calls at hand on one listener whose answers may be megabytes, which wait in memory until they are taken: a thousand members that
/// compare heads after a restart.
pub const MAX_LARGE: usize = 1_024;
/// The same of one caller: more than its connections and people need, and no more memory than some 64 MiB, or 512 MiB where it is a
/// client that has leads put together for authorities.
pub const MAX_LARGE_EACH: usize = 16;
/// Streams that stand for long at hand on one listener: a thousand members that follow feeds, and again while they reconnect.
pub const MAX_STANDING: usize = 4_096;
/// The same of one caller: as many as its connections need, and some tools beside.
pub const MAX_STANDING_EACH: usize = 64;
/// Calls a second of another member's node, a dear one counting for several: a hundred times what an honest one needs, and little beside
/// what a listener answers.
pub const PEER_CALLS_PER_SECOND: u32 = 500;
/// How long a caller may leave what there is for it untaken: its connection is closed then, because it holds places and memory for
/// nothing. A follower that is slow takes something every second.
pub const UNTAKEN_TIMEOUT: Duration = Duration::from_secs(120);
/// Bytes of an answer that are handed to its connection at once: a frame of HTTP/2 (RFC 9113, 4.2). Whoever makes room for less in
/// [`UNTAKEN_TIMEOUT`] takes nothing.
pub const MAX_ANSWER_PIECE_BYTES: usize = 16 * 1_024;
/// How long a request of one message may take to arrive: its place is another's then. The largest one needs 50 kbit a second for that.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a stream of rows may be open with no row on its way: longer than a pause within a file, and what was forgotten gives its place
/// back. Who has more rows later opens another one.
pub const ROWS_IDLE_TIMEOUT: Duration = Duration::from_secs(600);
/// When it is worth to try again after a call that was not taken on because others are at hand.
pub const RETRY_BUSY: Duration = Duration::from_secs(1);
/// HTTP/2 streams at once on a client's connection.
pub const MAX_STREAMS_PER_CONNECTION: u32 = 256;
/// Bytes of a request's headers: those of gRPC take a few hundred.
pub const MAX_HEADER_BYTES: u32 = 16 * 1_024;
/// Connections open at once of one client: a large pool, or a process on each of many machines. The newest takes the place of the oldest.
pub const MAX_CONNECTIONS_PER_CLIENT: usize = 256;
/// Bytes that may come on a client's stream before they are read: 13 MB/s at 20 ms from here to there, which are more rows than a node
/// works on.
pub const CLIENT_STREAM_WINDOW: u32 = 256 * 1_024;
/// The same of a client's connection: so many that all streams of rows that a client may have can wait to be worked on, and leave room to the
/// calls beside them.
pub const CLIENT_CONNECTION_WINDOW: u32 = (MAX_ROW_STREAMS_EACH as u32 + 1) * CLIENT_STREAM_WINDOW;
/// HTTP/2 streams at once on a node's connection: it follows feeds on one and asks its few other questions beside it.
pub const MAX_STREAMS_PER_NODE: u32 = 16;
/// Refused callers logged one by one in a second on one listener; more are counted in one line, so that a flood of them does
/// not fill the disk.
pub const MAX_REFUSALS_LOGGED: u32 = 10;
/// How long the same refusal of the same caller at the same method is only counted after it was logged.
pub const REFUSAL_LOG_PAUSE: Duration = Duration::from_secs(10);
/// Callers and methods whose refusals are told apart; beyond it those that were quiet longest are forgotten.
pub const MAX_REFUSALS_REMEMBERED: usize = 4_096;
/// How often an idle connection is probed; without it a healed partition hangs for ever.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// How long a probe may stay unanswered.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long nothing that is to be sent may find room on a connection: as long as a probe may take in all, which cannot be sent then either.
pub const WRITE_STALL: Duration = Duration::from_secs(KEEPALIVE_INTERVAL.as_secs() + KEEPALIVE_TIMEOUT.as_secs());
/// How often a follower hears from a node with nothing new.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(10);
/// Names that are looked up at once: each holds a thread, for half a minute where no name server answers.
pub const MAX_LOOKUPS: usize = 64;
/// First wait before a peer is dialled again.
pub const BACKOFF_FIRST: Duration = Duration::from_millis(200);
/// Longest wait before a peer is dialled again.
pub const BACKOFF_LAST: Duration = Duration::from_secs(30);
/// How long a member may be unreachable before its feeds are asked of others.
pub const RELAY_AFTER: Duration = Duration::from_secs(5);
/// How often connections are looked through for certificates that have ended: none outlives its certificate by more.
pub const CERTIFICATE_CHECK_INTERVAL: Duration = Duration::from_secs(60);
/// How long before its end the node warns of its own certificate, once a day: a month is time for a person to renew it.
pub const CERTIFICATE_WARNING: Duration = Duration::from_secs(30 * 86_400);
/// How often it warns.
pub const CERTIFICATE_WARNING_PAUSE: Duration = Duration::from_secs(86_400);
/// How long a node takes to end the work at hand when it is told to stop.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);
/// Connections at once on the monitoring listener: a few scrapers and a person; more wait in the kernel's backlog.
pub const MAX_MONITORS: usize = 16;
/// Time for the head of a request there.
pub const MONITOR_HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection there may last, so that one that reads nothing of its answer gives its place back; scrapers dial again.
pub const MONITOR_TIMEOUT: Duration = Duration::from_secs(300);
/// Spans that wait for the collector of traces, about a kibibyte each: what a busy node makes while one batch is on its way; more are lost.
pub const MAX_QUEUED_SPANS: usize = 8_192;
/// Spans in one message to the collector: half a mebibyte, of the 4 MiB that gRPC servers take.
pub const MAX_SPANS_PER_BATCH: usize = 512;
/// How long a span waits at most for others to be handed over with.
pub const TRACES_INTERVAL: Duration = Duration::from_secs(1);
/// How long the collector may take for a message before its spans are lost.
pub const TRACES_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a stop waits for the last spans to be taken: they are worth less than a start that is late.
pub const TRACES_STOP_TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes of a `traceparent` header: 55 in version 00 of W3C Trace Context, and room for what a later one adds.
pub const MAX_TRACEPARENT_BYTES: usize = 128;
