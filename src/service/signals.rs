use std::ops::Range;
use std::sync::Arc;

use super::LocalSecret;
use super::blocking::{Panicked, off_thread};
use super::record::{Reader, SignalRecord};
use crate::domain::limits::{MAX_PAGE, MAX_PAGE_BYTES, SALT_BYTES};
use crate::domain::{
    Audience, Clock, Entropy, EntropyError, FeedId, FieldError, KeyId, KeyState, Retraction, RetractionReason, RosterKey, Seq,
    SignalRef, SubmissionId,
};
use crate::feed::{Body, EncodeError, Entry, EntryBytes, encode};
use crate::membership::Directory;
use crate::store::{Append, Appended, Store, StoreError};

/// Entries looked at for one page of a listing; a page of a feed in which nearly all is withdrawn comes out short.
const MAX_LOOKED_AT: u64 = 20_000;

/// Reads signals, and withdraws this member's own.
pub struct Signals {
    /// Where they are.
    pub store: Arc<Store>,
    /// Who may read what.
    pub directory: Arc<Directory>,
    /// Makes the tags of submissions.
    pub secret: Arc<LocalSecret>,
    /// Tells the time of recording.
    pub clock: Arc<dyn Clock>,
    /// Gives the salts.
    pub entropy: Arc<dyn Entropy>,
    /// Held from when it is seen what a lead has come to until something is said of it, or it is erased: two at once would both see the
    /// same, and what is said of a lead that was just erased would be another one.
    pub leads: tokio::sync::Mutex<()>,
}

/// Which signal is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// By its name.
    Signal(SignalRef),
    /// By what it was submitted under.
    Submission(Audience, SubmissionId),
}

/// What became of a retraction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawal {
    /// The signal.
    pub signal: SignalRef,
    /// False where it was withdrawn before.
    pub newly: bool,
}

/// Some of a member's signals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignalPage {
    /// In order of sequence.
    pub records: Vec<SignalRecord>,
    /// Where the next page starts; `None` at the end.
    pub next: Option<Seq>,
}

/// How far this member's signals have been taken over to a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rekeyed {
    /// A key that is active.
    pub key: KeyId,
    /// Live signals of this member that have pseudonyms under it: stated under it, or given them since.
    pub signals: u64,
    /// All live signals of this member. Those beyond `signals` are not found any more once the keys that they have are destroyed. Both
    /// count what was said to audiences that the member may still write to: nothing else can be submitted again.
    pub of: u64,
}

/// Why a signal is not read or withdrawn.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignalError {
    /// A field is wrong.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// There is none, or it is not this member's to see.
    #[error("there is no such signal")]
    NotFound,
    /// Only its own member can withdraw it.
    #[error("this signal is another member's; only that member can withdraw it")]
    NotOwn,
    /// It was erased.
    #[error("this signal was erased; nothing of it is left to read or change")]
    Erased,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The entry could not be made.
    #[error(transparent)]
    Entry(#[from] EncodeError),
    /// There are no random bytes.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The work ended with a panic.
    #[error(transparent)]
    Panicked(#[from] Panicked),
}

impl SignalError {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Field(error) => error.code,
            Self::NotFound => "SIGNAL_NOT_FOUND",
            Self::NotOwn => "SIGNAL_NOT_OWN",
            Self::Erased => "SIGNAL_ERASED",
            Self::Store(error) => error.code(),
            Self::Entry(error) => error.code(),
            Self::Entropy(_) => "NO_ENTROPY",
            Self::Panicked(error) => error.code(),
        }
    }
}

impl Signals {
    /// Withdraws one signal for every member of its audience. Durable when this returns.
    ///
    /// # Errors
    /// [`SignalError::NotFound`], [`SignalError::NotOwn`], [`SignalError::Erased`], or the store's.
    pub async fn retract(&self, target: Target, reason: RetractionReason) -> Result<Withdrawal, SignalError> {
        let signal = self.resolve(target).await?;
        if self.store.is_erased(&signal) {
            return Err(SignalError::Erased);
        }
        let (entry, bytes) = self.entry(Body::Retraction(Retraction { signal: signal.seq, reason }))?;
        let audience = signal.feed.audience.clone();
        let outcome = self.store.append(vec![Append::Retraction { audience, signal: signal.seq, entry, bytes }]).await?;
        match outcome.into_iter().next().unwrap_or(Err(StoreError::Closed)) {
            Ok(Appended::Created(_)) => Ok(Withdrawal { signal, newly: true }),
            Ok(_) => Ok(Withdrawal { signal, newly: false }),
            Err(StoreError::NoSuchSignal) => Err(SignalError::NotFound),
            Err(error) => Err(error.into()),
        }
    }

    /// What this member says now, ready to be appended.
    pub(super) fn entry(&self, body: Body) -> Result<(Arc<Entry>, EntryBytes), SignalError> {
        let mut salt = [0; SALT_BYTES];
        self.entropy.fill(&mut salt)?;
        let entry = Entry { recorded_at: self.clock.now(), body };
        let bytes = encode(&entry, salt)?;
        Ok((Arc::new(entry), bytes))
    }

    /// Says something about other entries to `audience`. Durable when this returns; gives the entry's place.
    pub(super) async fn note(&self, audience: Audience, body: Body) -> Result<SignalRef, SignalError> {
        let (entry, bytes) = self.entry(body)?;
        let feed = FeedId { member: self.directory.member().clone(), audience: audience.clone() };
        let outcome = self.store.append(vec![Append::Note { audience, entry, bytes }]).await?;
        match outcome.into_iter().next().unwrap_or(Err(StoreError::Closed))? {
            Appended::Created(seq) | Appended::Known(seq, _) => Ok(SignalRef { feed, seq }),
            Appended::Withdrawn | Appended::Erased(_) | Appended::Gone | Appended::Unneeded => Err(Panicked.into()),
        }
    }

    pub(super) async fn resolve(&self, target: Target) -> Result<SignalRef, SignalError> {
        match target {
            Target::Signal(signal) if signal.feed.member == *self.directory.member() => Ok(signal),
            Target::Signal(_) => Err(SignalError::NotOwn),
            Target::Submission(audience, id) => {
                let (store, tag) = (self.store.clone(), self.secret.by_id(&audience, &id));
                let wanted = audience.clone();
                let seq = off_thread(move || store.find_submission(&wanted, &tag)).await??.ok_or(SignalError::NotFound)?;
                Ok(SignalRef { feed: FeedId { member: self.directory.member().clone(), audience }, seq })
            }
        }
    }

    /// How many of this member's live signals have pseudonyms under each active key, in the order of the roster. Counted as entries are
    /// taken in, so it costs nothing to ask. Live is here what is neither withdrawn nor erased: what has expired counts until it is
    /// erased, which is within a day.
    #[must_use]
    pub fn rekeyed(&self) -> Vec<Rekeyed> {
        let signed = self.directory.roster();
        let active = signed.roster().keys.iter().filter(|key| key.state == KeyState::Active);
        let within = |audience: &Audience| self.directory.check_audience(audience).is_ok();
        let of = self.store.own_live_signals_in(within);
        let under = |key: &KeyId| self.store.own_live_signals_under(key, within);
        let rekeyed = |key: &RosterKey| Rekeyed { key: key.id.clone(), signals: under(&key.id), of };
        active.map(rekeyed).collect()
    }

    /// Reads one signal that this node holds.
    ///
    /// # Errors
    /// [`SignalError::NotFound`] where it is not held, is no signal, or is not for this member; [`SignalError::Erased`].
    pub async fn get(&self, signal: SignalRef) -> Result<SignalRecord, SignalError> {
        let own = signal.feed.member == *self.directory.member();
        if !own && !self.directory.roster().roster().may_read_feed(self.directory.member(), &signal.feed) {
            return Err(SignalError::NotFound);
        }
        let (store, directory, clock) = (self.store.clone(), self.directory.clone(), self.clock.clone());
        if store.is_erased(&signal) {
            return Err(SignalError::Erased);
        }
        let read = move || Reader::new(&store, &directory, &*clock).signal(signal);
        off_thread(read).await??.ok_or(SignalError::NotFound)
    }

    /// Lists own signals of one audience from `from` on, at most `count` (1 to 1,000) of them, and no more than fit into one
    /// answer. A page may be short, or even empty, while more follows.
    ///
    /// # Errors
    /// A [`FieldError`] where there is no such audience, or the store's.
    pub async fn list(
        self: &Arc<Self>,
        audience: Audience,
        from: Seq,
        count: usize,
        live_only: bool,
    ) -> Result<SignalPage, SignalError> {
        let feed = FeedId { member: self.directory.member().clone(), audience };
        let end = self.store.size(&feed);
        // What was stated in a group that this member has left can still be listed, and withdrawn.
        if end == Seq::ZERO {
            self.directory.check_audience(&feed.audience)?;
        }
        let this = self.clone();
        off_thread(move || this.page(&feed, from..end, count.clamp(1, MAX_PAGE), live_only)).await?
    }

    fn page(&self, feed: &FeedId, range: Range<Seq>, count: usize, live_only: bool) -> Result<SignalPage, SignalError> {
        let reader = Reader::new(&self.store, &self.directory, &*self.clock);
        let (mut records, mut bytes, mut seq) = (Vec::new(), 0, range.start);
        while seq < range.end && records.len() < count && bytes < MAX_PAGE_BYTES && seq.since(range.start) < MAX_LOOKED_AT {
            let signal = SignalRef { feed: feed.clone(), seq };
            if let Some(leaf) = self.store.read(feed, seq)?
                && let Some(record) = reader.record_of(signal, &leaf)?
                && (!live_only || record.status.is_live())
            {
                bytes += leaf.size();
                records.push(record);
            }
            seq = seq.plus(1);
        }
        Ok(SignalPage { records, next: (seq < range.end).then_some(seq) })
    }
}
