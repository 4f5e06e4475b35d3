use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::sync::{Mutex, watch};

use crate::domain::{AllianceName, Audience, FeedKey, FieldError, MemberId};
use crate::feed::{Replacement, RosterError, SignedRoster, supersede};
use crate::store::{Announcer, Store, StoreError};

/// Why a roster is not taken.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// It is not rightly signed, not newer, or not well formed.
    #[error(transparent)]
    Roster(#[from] RosterError),
    /// It could not be kept; the one in force stays.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is neither a roster in the store nor one at hand.
    #[error("this node has no roster yet; give it the one that came with the admission")]
    Missing,
    /// This node's member is not an active one.
    #[error("the roster does not list this node's member as active; ask the secretariat")]
    NotAMember,
}

impl DirectoryError {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Roster(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Missing => "ROSTER_MISSING",
            Self::NotAMember => "NOT_A_MEMBER",
        }
    }
}

/// The roster in force. Replaced whole by a newer one that the secretariat signed; the serial never falls, also over a restart.
pub struct Directory {
    alliance: AllianceName,
    member: MemberId,
    secretariat: FeedKey,
    store: Arc<Store>,
    current: ArcSwap<SignedRoster>,
    serials: Announcer<u64>,
    /// One replacement at a time, so that the one kept on disk is the newest.
    replacing: Mutex<()>,
}

impl Directory {
    /// Starts from the newer of the store's roster and `at_hand`.
    ///
    /// # Errors
    /// [`DirectoryError::Missing`] without either; [`DirectoryError::Roster`] where what is there is not rightly signed;
    /// [`DirectoryError::NotAMember`].
    pub async fn open(
        alliance: AllianceName,
        member: MemberId,
        secretariat: FeedKey,
        store: Arc<Store>,
        at_hand: Option<Bytes>,
    ) -> Result<Self, DirectoryError> {
        let open = |note| SignedRoster::open(note, &alliance, &secretariat);
        let stored = store.roster().map(open).transpose()?;
        let current = match (stored, at_hand.map(open).transpose()?) {
            (None, None) => return Err(DirectoryError::Missing),
            (Some(stored), None) => stored,
            (None, Some(given)) => {
                store.put_roster(given.note().clone()).await?;
                given
            }
            (Some(stored), Some(given)) => match supersede(Some(&stored), &given) {
                Ok(Replacement::Replace) => {
                    store.put_roster(given.note().clone()).await?;
                    given
                }
                Ok(Replacement::Keep) => stored,
                // As it is with every node that has learned of a newer one from the others.
                Err(error @ RosterError::RolledBack { .. }) => {
                    tracing::info!(
                        code = error.code(),
                        "the roster file is older than the one in the store, which stays in force"
                    );
                    stored
                }
                Err(error) => {
                    tracing::warn!(code = error.code(), %error, "the roster file is not used; the one in the store stays in force");
                    stored
                }
            },
        };
        if !current.roster().is_active(&member) {
            return Err(DirectoryError::NotAMember);
        }
        let serials = Announcer::new(current.roster().serial);
        let replacing = Mutex::new(());
        Ok(Self { alliance, member, secretariat, store, current: ArcSwap::from_pointee(current), serials, replacing })
    }

    /// The roster in force.
    #[must_use]
    pub fn roster(&self) -> Arc<SignedRoster> {
        self.current.load_full()
    }

    /// This node's member.
    #[must_use]
    pub fn member(&self) -> &MemberId {
        &self.member
    }

    /// That this member may write for an audience that a person gave.
    ///
    /// # Errors
    /// Where it belongs to no such group.
    pub fn check_audience(&self, audience: &Audience) -> Result<(), FieldError> {
        if self.roster().roster().may_read(&self.member, audience) {
            return Ok(());
        }
        let message = "this member belongs to no such group; give `all` or a group of yours";
        Err(FieldError::new("AUDIENCE_UNKNOWN", "audience", message))
    }

    /// The key with which the secretariat signs rosters.
    #[must_use]
    pub const fn secretariat(&self) -> FeedKey {
        self.secretariat
    }

    /// The alliance.
    #[must_use]
    pub fn alliance(&self) -> &AllianceName {
        &self.alliance
    }

    /// The serial of the roster in force; changes with every replacement.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.serials.subscribe()
    }

    /// What a roster means for this node, without taking it.
    ///
    /// # Errors
    /// [`RosterError`] where it is not rightly signed or not newer.
    pub fn judge(&self, note: Bytes) -> Result<(SignedRoster, Replacement), RosterError> {
        let offered = SignedRoster::open(note, &self.alliance, &self.secretariat)?;
        let replacement = supersede(Some(&self.current.load()), &offered)?;
        Ok((offered, replacement))
    }

    /// Takes a roster that came from a peer or an operator. True where it replaced the one in force.
    ///
    /// # Errors
    /// [`DirectoryError::Roster`] where it is not rightly signed or not newer, [`DirectoryError::Store`] where it could not be
    /// kept. The one in force stays.
    pub async fn offer(&self, note: Bytes) -> Result<bool, DirectoryError> {
        let offered = SignedRoster::open(note, &self.alliance, &self.secretariat)?;
        let _one_at_a_time = self.replacing.lock().await;
        match supersede(Some(&self.current.load()), &offered)? {
            Replacement::Keep => return Ok(false),
            Replacement::Replace => {}
        }
        self.store.put_roster(offered.note().clone()).await?;
        let serial = offered.roster().serial;
        self.current.store(Arc::new(offered));
        self.serials.change(|current| {
            *current = serial;
            true
        });
        tracing::info!(serial, "a newer roster is in force");
        Ok(true)
    }
}
