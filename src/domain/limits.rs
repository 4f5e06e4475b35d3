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
/// Days that a signal may ask to be kept: ten years, the longest limitation period among the members' laws.
pub const MAX_RETENTION_DAYS: u16 = 3_653;
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
/// Entries between two kept checkpoints, hence in one batch.
pub const MAX_BATCH_ENTRIES: usize = 4_096;
/// Bytes of entries after which a batch ends, so that a batch is one message of bounded size.
pub const MAX_BATCH_BYTES: usize = 1_024 * 1_024;
/// Bytes of any gRPC message on the peer listener: the largest batch with its framing, or a page of checkpoints.
pub const MAX_PEER_MESSAGE_BYTES: usize = 4 * 1_024 * 1_024;
/// Bytes of any gRPC request on the client listener: 32 identifiers of the longest kind with a full statement fit twice.
pub const MAX_CLIENT_MESSAGE_BYTES: usize = 256 * 1_024;
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
/// Feeds followed on one stream.
pub const MAX_FOLLOWED_FEEDS: usize = 4_096;

/// Rows of a stream that are worked on at once; with the largest row this is 512 KiB times 32 identifiers at worst, and
/// enough to fill a group commit.
pub const MAX_ROWS_IN_FLIGHT: usize = 4_096;
/// Rows of a stream that are taken into one piece of work.
pub const MAX_ROWS_PER_CHUNK: usize = 512;
/// Records in one group commit: one flush serves this many; beyond it latency grows and throughput does not.
pub const MAX_COMMIT_ENTRIES: usize = 8_192;
/// Requests waiting for the store's writer; beyond it callers wait, which is the back-pressure that streams hand on.
pub const MAX_COMMIT_QUEUE: usize = 1_024;
/// Matching signals listed in one answer; the number of members stays exact.
pub const MAX_MATCHES: usize = 256;
/// Signals of one identifier that a check reads; beyond it the rest is counted as omitted. A flood on one identifier must not
/// slow the answers about it.
pub const MAX_POSTINGS_READ: usize = 4_096;
/// How long the answer of a check can be read again.
pub const CHECK_RETENTION: Duration = Duration::from_secs(365 * 86_400);
/// Signals on a page of a listing.
pub const MAX_PAGE: usize = 1_000;
/// Fork proofs kept for one feed; one is enough to prove it.
pub const MAX_FORKS_PER_FEED: usize = 1;

/// Time for a TLS handshake, so that a silent caller does not hold a socket.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Handshakes under way at once on one listener; a flood of them waits in the kernel's backlog.
pub const MAX_HANDSHAKES: usize = 256;
/// Connections open at once on one listener: a thousand members with a reconnection each, or a thousand client processes.
pub const MAX_CONNECTIONS: usize = 2_048;
/// HTTP/2 streams at once on one connection.
pub const MAX_STREAMS_PER_CONNECTION: u32 = 256;
/// How often an idle connection is probed; without it a healed partition hangs for ever.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// How long a probe may stay unanswered.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a follower hears from a node with nothing new.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(10);
/// First wait before a peer is dialled again.
pub const BACKOFF_FIRST: Duration = Duration::from_millis(200);
/// Longest wait before a peer is dialled again.
pub const BACKOFF_LAST: Duration = Duration::from_secs(30);
/// How long a member may be unreachable before its feeds are asked of others.
pub const RELAY_AFTER: Duration = Duration::from_secs(5);
/// How long a node takes to end the work at hand when it is told to stop.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);
