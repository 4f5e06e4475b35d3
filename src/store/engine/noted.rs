//! Which keys commits touch, noted for one who copies all rows while they change.

use std::collections::BTreeSet;

use parking_lot::Mutex;

use super::Commit;
use crate::domain::limits::MAX_BACKUP_CHANGES;

/// Keys that were touched since somebody wanted to know, or since they were taken last.
#[derive(Default)]
pub(in crate::store) struct Noted(Mutex<State>);

#[derive(Default)]
enum State {
    /// Nobody wants to know.
    #[default]
    Off,
    On(BTreeSet<Vec<u8>>),
    /// There were too many.
    Lost,
}

impl Noted {
    /// Notes from now on, and from nothing on.
    pub(in crate::store) fn begin(&self) {
        *self.0.lock() = State::On(BTreeSet::new());
    }

    /// Notes no more.
    pub(in crate::store) fn end(&self) {
        *self.0.lock() = State::Off;
    }

    /// What was touched since the last time; `None` where that is not known.
    pub(in crate::store) fn take(&self) -> Option<BTreeSet<Vec<u8>>> {
        match &mut *self.0.lock() {
            State::On(keys) => Some(std::mem::take(keys)),
            State::Off | State::Lost => None,
        }
    }

    /// The keys of a commit, where somebody wants to know.
    pub(super) fn keys_of(&self, commit: &Commit) -> Vec<Vec<u8>> {
        let wanted = matches!(&*self.0.lock(), State::On(_));
        if wanted { commit.0.iter().map(|(key, _)| key.clone()).collect() } else { Vec::new() }
    }

    pub(super) fn add(&self, touched: Vec<Vec<u8>>) {
        let mut state = self.0.lock();
        if let State::On(keys) = &mut *state {
            keys.extend(touched);
            if keys.len() > MAX_BACKUP_CHANGES {
                *state = State::Lost;
            }
        }
    }
}
