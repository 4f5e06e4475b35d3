//! What a node does for its member: takes signals, answers questions, shows itself.
//!
//! These are the use cases. They deal in the words of the domain, know no gRPC and no generated type, and hold no state of
//! their own beyond caches: what is durable is in the store, who belongs is in the directory.

mod accuracy;
mod audit;
mod blocking;
mod cases;
mod deadlines;
mod deliveries;
mod erase;
mod evaluation;
mod freshness;
mod goods;
mod holder_board;
mod holder_evidence;
mod keeping;
mod key_holder;
mod key_states;
mod leads;
mod node;
mod overrides;
mod pseudonyms;
mod record;
mod reference;
mod rekeying;
mod reloading;
mod retention;
mod rings;
mod screen;
mod shared_keys;
mod signals;
mod submit;
mod tags;
mod unkeyed;
mod watches;
mod worker;

pub use accuracy::{Accuracy, AccuracyBoard};
pub use audit::AuditTrail;
pub use blocking::{Panicked, Turns, processors};
pub use cases::{CaseError, CasePage, CaseRecord, CaseReference, CaseSignal, Cases, MarkerDraft, OpenedDispute};
pub use deadlines::{Deadline, Deadlines, Ending};
pub use deliveries::{AlertSink, DELIVERY_TIMEOUT, Deliveries, DeliveryError, DeliveryStatus};
pub use erase::{Erased, Eraser, ErasurePage, ErasureRecord, Replica};
pub use evaluation::{EvaluationAnswer, EvaluationRequest, HolderError, KeyHolders};
pub use freshness::FreshnessBoard;
pub use goods::{GoodsTotal, Measured};
pub use holder_board::{HolderBoard, HolderFailure, HolderStanding};
pub use holder_evidence::{EvidenceError, EvidenceShelf, HolderEvidence};
pub use keeping::{
    Ceremonies, CeremonyAnswer, CeremonyDesk, CeremonyPace, CeremonyQuery, CeremonyRefusal, CeremonyState, Disbelief,
    FellowHolders, KeyReport, RepairAnswer, RepairQuery, ShareBook, ShareVault, Signed, VaultError, believe, dealt_record,
};
pub use key_holder::{HolderRefusal, KeyHolder};
pub use key_states::{KeyError, KeyRecord, KeyStates};
pub use leads::{Bundle, FoundLead, FoundPage, Funnel, Funnels, LeadFilter, LeadPage, LeadRecord, Leads, Progress};
pub use node::{Derived, NodeReport, NodeState};
pub use overrides::{OverrideDraft, Overrides};
pub use pseudonyms::{KeySecrets, Pseudonymiser};
pub use record::SignalRecord;
pub use reference::{Reference, SealedReference};
pub use reloading::{ReloadDesk, ReloadRefusal, ReloadWish};
pub use retention::{Retention, Swept};
pub use rings::{Hub, Reach, Ring, RingQuery, RingSeller, RingStart, Rings, WalkBounds};
pub use screen::{Answer, MarkerMatch, MatchedIdentifier, OverrideMatch, PastCheck, ScreenError, Screener, SignalMatch};
pub use shared_keys::HolderDesk;
pub use signals::{Rekeyed, SignalError, SignalPage, Signals, Target, Withdrawal};
pub use submit::{Receipt, SubmitError, Submitter};
pub use tags::LocalSecret;
pub use unkeyed::Unkeyed;
pub use watches::{WatchDraft, Watcher, Watches};

#[cfg(test)]
mod tests;
