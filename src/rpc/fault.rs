//! How errors leave the node: one exhaustive map from every error of the use cases to a gRPC status or a row's error.
//!
//! Clients get a stable code, the field where there is one, and a sentence that says what to do; never a cause's own text,
//! which may tell of paths and addresses. What is this node's own fault is logged here, once; a refusal is logged at the gate.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::proto;
use crate::domain::FieldError;
use crate::feed::EncodeError;
use crate::pseudonym::PseudonymError;
use crate::service::{CaseError, Panicked, ScreenError, SignalError, SubmitError};
use crate::store::StoreError;

/// The `domain` of every google.rpc.ErrorInfo of ours.
const DOMAIN: &str = "countermark";

/// An error on its way to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    grpc: Code,
    code: &'static str,
    field: String,
    message: String,
    metadata: BTreeMap<&'static str, String>,
    retry_after: Option<Duration>,
}

impl Fault {
    /// A fault of the caller or of this node, by its gRPC code.
    pub fn new(grpc: Code, code: &'static str, message: impl Into<String>) -> Self {
        Self { grpc, code, field: String::new(), message: message.into(), metadata: BTreeMap::new(), retry_after: None }
    }

    /// With something for programs beside the code.
    #[must_use]
    pub(super) fn with(mut self, name: &'static str, value: String) -> Self {
        self.metadata.insert(name, value);
        self
    }

    /// With a hint when it is worth to try again (google.rpc.RetryInfo).
    #[must_use]
    pub(super) fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// The caller's certificate does not allow it.
    #[must_use]
    pub fn denied(code: &'static str, message: &str) -> Self {
        Self::new(Code::PermissionDenied, code, message)
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The status, for one whose fault is told of elsewhere.
    pub(super) fn unlogged(self) -> Status {
        let metadata: HashMap<String, String> =
            self.metadata.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let mut details = ErrorDetails::with_error_info(self.code, DOMAIN, metadata);
        if !self.field.is_empty() {
            details.add_bad_request_violation(self.field.clone(), self.message.clone());
        }
        if let Some(wait) = self.retry_after {
            details.set_retry_info(Some(wait));
        }
        let text = if self.field.is_empty() { self.message } else { format!("{}: {}", self.field, self.message) };
        Status::with_error_details(self.grpc, text, details)
    }

    fn log(&self, count: usize) {
        match self.grpc {
            Code::Internal | Code::DataLoss => tracing::error!(code = self.code, count, "{}", self.message),
            Code::Unavailable | Code::FailedPrecondition => tracing::warn!(code = self.code, count, "{}", self.message),
            _ => {}
        }
    }
}

/// Logs what is this node's own fault among the outcomes of many rows: each code once, with its count, for one failure meets
/// hundreds of rows at once.
pub(super) fn log_rows<T>(outcomes: &[Result<T, Fault>]) {
    let mut faults: BTreeMap<&'static str, (&Fault, usize)> = BTreeMap::new();
    for fault in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
        faults.entry(fault.code).or_insert((fault, 0)).1 += 1;
    }
    faults.values().for_each(|(fault, count)| fault.log(*count));
}

impl From<Fault> for Status {
    fn from(fault: Fault) -> Self {
        fault.log(1);
        fault.unlogged()
    }
}

/// Does not log: see [`log_rows`].
impl From<Fault> for proto::RowError {
    fn from(fault: Fault) -> Self {
        let retryable = matches!(fault.grpc, Code::Unavailable | Code::ResourceExhausted);
        Self { code: fault.code.to_owned(), field: fault.field, message: fault.message, retryable }
    }
}

impl From<FieldError> for Fault {
    fn from(error: FieldError) -> Self {
        Self { field: error.field, ..Self::new(Code::InvalidArgument, error.code, error.message) }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        let grpc = match &error {
            StoreError::Unwritable { .. } | StoreError::Closed | StoreError::OwnFeedUnconfirmed => Code::Unavailable,
            StoreError::Unreadable { .. } => Code::DataLoss,
            StoreError::OwnFeedBehind | StoreError::Quarantined => Code::FailedPrecondition,
            StoreError::OutOfOrder { .. } => Code::Internal,
            StoreError::NoSuchSignal => Code::NotFound,
            StoreError::OverridesFull | StoreError::WatchesFull | StoreError::BackupEnded => Code::FailedPrecondition,
            StoreError::BackupRunning | StoreError::BackupOutrun => Code::ResourceExhausted,
        };
        Self::new(grpc, error.code(), error.to_string())
    }
}

impl From<PseudonymError> for Fault {
    fn from(error: PseudonymError) -> Self {
        let grpc = match &error {
            PseudonymError::NoActiveKey
            | PseudonymError::KeyMissing(_)
            | PseudonymError::KeyMismatch(_)
            | PseudonymError::SharesInconsistent { .. } => Code::FailedPrecondition,
            PseudonymError::HoldersUnreachable { .. } => Code::Unavailable,
            PseudonymError::BudgetSpent { .. } => Code::ResourceExhausted,
            PseudonymError::KeyInvalid
            | PseudonymError::BatchTooLarge { .. }
            | PseudonymError::Panicked
            | PseudonymError::Entropy(_) => Code::Internal,
        };
        Self::new(grpc, error.code(), error.to_string())
    }
}

impl From<EncodeError> for Fault {
    fn from(error: EncodeError) -> Self {
        Self::new(Code::InvalidArgument, error.code(), format!("{error}; state less in one signal"))
    }
}

impl From<Panicked> for Fault {
    fn from(error: Panicked) -> Self {
        Self::new(Code::Internal, error.code(), error.to_string())
    }
}

impl From<SubmitError> for Fault {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Field(error) => error.into(),
            SubmitError::IdReused(_) | SubmitError::KeysDestroyed(_) => {
                let message = error.to_string();
                Self { field: "submission_id".into(), ..Self::new(Code::AlreadyExists, error.code(), message) }
            }
            SubmitError::Entry(error) => error.into(),
            SubmitError::Pseudonym(error) => error.into(),
            SubmitError::Store(error) => error.into(),
            SubmitError::Panicked(error) => error.into(),
            SubmitError::Entropy(_) => Self::new(Code::Internal, error.code(), error.to_string()),
        }
    }
}

impl From<SignalError> for Fault {
    fn from(error: SignalError) -> Self {
        match error {
            SignalError::Field(error) => error.into(),
            SignalError::NotFound => Self::new(Code::NotFound, error.code(), error.to_string()),
            SignalError::NotOwn => Self::new(Code::PermissionDenied, error.code(), error.to_string()),
            SignalError::Erased => Self::new(Code::FailedPrecondition, error.code(), error.to_string()),
            SignalError::Store(error) => error.into(),
            SignalError::Entry(error) => error.into(),
            SignalError::Panicked(error) => error.into(),
            SignalError::Entropy(_) => Self::new(Code::Internal, error.code(), error.to_string()),
        }
    }
}

impl From<CaseError> for Fault {
    fn from(error: CaseError) -> Self {
        match error {
            CaseError::Field(error) => error.into(),
            CaseError::NotFound(_) => Self::new(Code::NotFound, error.code(), error.to_string()),
            CaseError::NotOwn(_) => Self::new(Code::PermissionDenied, error.code(), error.to_string()),
            CaseError::Transition { .. } => Self::new(Code::FailedPrecondition, error.code(), error.to_string()),
            CaseError::Pseudonym(error) => error.into(),
            CaseError::Store(error) => error.into(),
            CaseError::Entry(error) => error.into(),
            CaseError::Panicked(error) => error.into(),
            CaseError::Entropy(_) => Self::new(Code::Internal, error.code(), error.to_string()),
        }
    }
}

impl From<ScreenError> for Fault {
    fn from(error: ScreenError) -> Self {
        match error {
            ScreenError::Field(error) => error.into(),
            ScreenError::Pseudonym(error) => error.into(),
            ScreenError::Store(error) => error.into(),
            ScreenError::Panicked(error) => error.into(),
            ScreenError::NoSuchCheck => Self::new(Code::NotFound, error.code(), error.to_string()),
        }
    }
}
