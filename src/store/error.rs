use super::engine::EngineError;
use crate::domain::Seq;
use crate::domain::limits::MAX_WATCHES;

/// Why a store does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A later version of the program has written it.
    #[error(
        "this store has schema {found}, and this version of countermark knows {known}; use the version that wrote it, or a later one"
    )]
    NewerSchema {
        /// The store's.
        found: u32,
        /// The newest that this version knows.
        known: u32,
    },
    /// Rows are put back only where there are none.
    #[error("there is a store in this folder already; move it away, or restore into an empty folder")]
    NotEmpty,
    /// Rows were being put back, and it did not come to its end.
    #[error("a restore into this store did not come to its end; empty the folder, then restore again")]
    Unfinished,
    /// There is no store where one is to be looked at.
    #[error("there is no store in this folder; point data_dir to the right one")]
    Absent,
    /// It is another member's store, or another alliance's.
    #[error("this store belongs to member {member} of {alliance}; point data_dir to the right folder")]
    WrongOwner {
        /// Whose it is.
        alliance: String,
        /// Whose it is.
        member: String,
    },
    /// What it holds contradicts itself.
    #[error("the store is damaged ({what}); restore it from a backup, or from the other members")]
    Damaged {
        /// What does not fit.
        what: String,
    },
}

impl OpenError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Engine(error) => error.code(),
            Self::NewerSchema { .. } => "STORE_SCHEMA_NEWER",
            Self::NotEmpty => "RESTORE_NOT_EMPTY",
            Self::Unfinished => "RESTORE_UNFINISHED",
            Self::Absent => "STORE_ABSENT",
            Self::WrongOwner { .. } => "STORE_WRONG_OWNER",
            Self::Damaged { .. } => "STORE_DAMAGED",
        }
    }

    pub(super) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged { what: what.into() }
    }
}

/// Why an open store does not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Nothing can be written now; nothing of the request was.
    #[error("{detail}")]
    Unwritable {
        /// Stable code of the reason.
        code: &'static str,
        /// The reason in words.
        detail: String,
    },
    /// Something that is held cannot be read.
    #[error("{detail}")]
    Unreadable {
        /// Stable code of the reason.
        code: &'static str,
        /// The reason in words.
        detail: String,
    },
    /// There are as many overrides as there may be.
    #[error("there are 100000 overrides; take back some that are not needed any more")]
    OverridesFull,
    /// There are as many watches as there may be.
    #[error("there are {MAX_WATCHES} watches; end some that are not needed any more")]
    WatchesFull,
    /// The store has been closed.
    #[error("the node is stopping")]
    Closed,
    /// Another member holds more of this node's own feed than this node.
    #[error(
        "another member holds more of this node's own feed than this node; start the node with --recover-own-feed to get it back"
    )]
    OwnFeedBehind,
    /// No other member has been compared with since the node started, so that more of the feed may be out there.
    #[error(
        "the node has not yet compared its own feed with another member since it started, or not with all of them since it was \
         restored; try again in a while, and if some cannot be reached, see `countermark serve --help`"
    )]
    OwnFeedUnconfirmed,
    /// The feed is quarantined.
    #[error("the feed is quarantined because its member signed two histories of it")]
    Quarantined,
    /// The batch does not follow what is held.
    #[error("the batch does not follow the {held} entries that are held")]
    OutOfOrder {
        /// Entries held.
        held: Seq,
    },
    /// One backup at a time is read.
    #[error("another backup of this node is being read; let it end first")]
    BackupRunning,
    /// What changed since a backup was begun is known no more.
    #[error(
        "the backup cannot be gone on with: an hour has passed, another was begun, or the node was started anew; begin one anew"
    )]
    BackupEnded,
    /// A backup is read more slowly than the store changes.
    #[error("the store changes faster than the backup is read; take it where the line is faster, or at a quieter time")]
    BackupOutrun,
    /// The entry is not a signal of this node's own feed.
    #[error("there is no such signal of this member")]
    NoSuchSignal,
}

impl StoreError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unwritable { code, .. } | Self::Unreadable { code, .. } => code,
            Self::OverridesFull => "OVERRIDES_FULL",
            Self::WatchesFull => "WATCHES_FULL",
            Self::Closed => "NODE_STOPPING",
            Self::OwnFeedBehind => "OWN_FEED_BEHIND",
            Self::OwnFeedUnconfirmed => "OWN_FEED_UNCONFIRMED",
            Self::Quarantined => "FEED_QUARANTINED",
            Self::OutOfOrder { .. } => "BATCH_OUT_OF_ORDER",
            Self::BackupRunning => "BACKUP_RUNNING",
            Self::BackupEnded => "BACKUP_ENDED",
            Self::BackupOutrun => "BACKUP_OUTRUN",
            Self::NoSuchSignal => "SIGNAL_NOT_FOUND",
        }
    }

    pub(super) fn unwritable(error: &EngineError) -> Self {
        Self::Unwritable { code: error.code(), detail: error.to_string() }
    }

    pub(super) fn unreadable(error: &EngineError) -> Self {
        Self::Unreadable { code: error.code(), detail: error.to_string() }
    }
}
