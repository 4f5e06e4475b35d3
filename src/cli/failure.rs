//! How a command ends, and what is said where it failed: a stable code, a sentence, the causes, what to do.
//!
//! No text here repeats an identifier of a seller: it is made of our own sentences, names of files and members, and what the
//! operating system says.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::process::ExitCode;

use tonic_types::StatusExt as _;

use super::input::InputError;
use crate::alliance::AllianceError;
use crate::alliance::folder::FolderError;
use crate::config::ConfigError;
use crate::daemon::ServeError;
use crate::domain::{EntropyError, FieldError};
use crate::feed::{CheckpointError, KeyError, RosterError};
use crate::pseudonym::PseudonymError;
use crate::rpc::connector::{ConnectError, explain};
use crate::rpc::identity::IdentityError;
use crate::rpc::tls::TlsError;

/// How a command ended. Part of the interface: scripts branch on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// 0: done; for `check`, not flagged.
    Done,
    /// 1: failed.
    Failed,
    /// 2: the command line is wrong.
    Usage,
    /// 3: `check` found a seller flagged.
    Flagged,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Done => 0,
            Outcome::Failed => 1,
            Outcome::Usage => 2,
            Outcome::Flagged => 3,
        })
    }
}

/// Why a command failed.
#[derive(Debug)]
pub(super) struct Failure {
    code: Cow<'static, str>,
    sentence: String,
    causes: Vec<String>,
    advice: Option<Cow<'static, str>>,
    outcome: Outcome,
}

impl Failure {
    /// Nobody reads the output any more, as behind `head`. Nothing is said about it.
    const BROKEN_PIPE: &str = "OUTPUT_CLOSED";

    pub(super) fn new(code: impl Into<Cow<'static, str>>, sentence: impl Into<String>) -> Self {
        Self { code: code.into(), sentence: sentence.into(), causes: Vec::new(), advice: None, outcome: Outcome::Failed }
    }

    /// The command line asks for what cannot be.
    pub(super) fn usage(sentence: impl Into<String>) -> Self {
        Self { outcome: Outcome::Usage, ..Self::new("USAGE", sentence) }
    }

    /// An error of a layer below, with what caused it.
    pub(super) fn of(code: impl Into<Cow<'static, str>>, error: &(dyn Error + 'static)) -> Self {
        let chain = std::iter::successors(error.source(), |error| (*error).source());
        Self { causes: chain.map(ToString::to_string).collect(), ..Self::new(code, error.to_string()) }
    }

    /// Standard output cannot be written to.
    pub(super) fn output(error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::new(Self::BROKEN_PIPE, "the output was closed"),
            _ => Self::of("OUTPUT_FAILED", error).advise("make room, or write somewhere else"),
        }
    }

    #[must_use]
    pub(super) fn advise(mut self, advice: impl Into<Cow<'static, str>>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// What went wrong, without the code and what to do.
    pub(super) fn sentence(&self) -> &str {
        &self.sentence
    }

    pub(super) fn code(&self) -> &str {
        &self.code
    }

    /// What went wrong with what caused it.
    pub(super) fn sentences(&self) -> String {
        std::iter::once(&self.sentence).chain(&self.causes).map(|text| text.trim_end()).collect::<Vec<_>>().join(": ")
    }

    /// What to do; empty where nobody knows better than the sentence.
    pub(super) fn advice(&self) -> &str {
        self.advice.as_deref().unwrap_or_default()
    }

    pub(super) fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Whether there is anybody to tell.
    pub(super) fn is_silent(&self) -> bool {
        self.code == Self::BROKEN_PIPE
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error[{}]: {}", self.code, self.sentence)?;
        for cause in &self.causes {
            write!(f, "\n  because: {}", cause.trim_end().replace('\n', "\n    "))?;
        }
        match &self.advice {
            Some(advice) => write!(f, "\n  what to do: {advice}"),
            None => Ok(()),
        }
    }
}

macro_rules! failure_of {
    ($($error:ty),+ $(,)?) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::of(error.code(), &error)
            }
        }
    )+};
}

failure_of!(AllianceError, FolderError, ConfigError, RosterError, CheckpointError, KeyError, PseudonymError, TlsError);
failure_of!(IdentityError, ServeError);

impl From<FieldError> for Failure {
    fn from(error: FieldError) -> Self {
        Self::of(error.code, &error)
    }
}

impl From<EntropyError> for Failure {
    fn from(error: EntropyError) -> Self {
        Self::of("ENTROPY", &error)
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        Self::of(error.code(), &error).advise(error.advice())
    }
}

impl From<InputError> for Failure {
    fn from(error: InputError) -> Self {
        Self::of(error.code(), &error)
    }
}

impl From<tonic::Status> for Failure {
    /// The code of the node where it gave one. The sentence is the node's own, which repeats no identifier.
    fn from(status: tonic::Status) -> Self {
        let code = match status.get_details_error_info() {
            Some(info) if !info.reason.is_empty() => Cow::from(info.reason),
            _ => Cow::from(format!("GRPC_{}", screaming(&format!("{:?}", status.code())))),
        };
        let sentence = if status.message().is_empty() { "the node refused without a word" } else { status.message() };
        let failure = Self::new(code, super::output::plain(sentence));
        match explain(&status) {
            Some(advice) => failure.advise(advice),
            None => failure,
        }
    }
}

/// `NotFound` as `NOT_FOUND`.
fn screaming(name: &str) -> String {
    let words = name.char_indices().flat_map(|(i, c)| {
        let gap = (i > 0 && c.is_ascii_uppercase()).then_some('_');
        gap.into_iter().chain([c.to_ascii_uppercase()])
    });
    words.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_code_sentence_causes_and_what_to_do() {
        let error = ConnectError::Unreachable(std::sync::Arc::new(std::io::ErrorKind::ConnectionRefused.into()));
        assert_eq!(
            Failure::from(error).to_string(),
            "error[PEER_UNREACHABLE]: the node cannot be reached\n  because: connection refused\n  what to do: check the \
             address, that the node is running, and the firewalls on the way"
        );
    }

    #[test]
    fn a_status_without_details_has_a_code_all_the_same() {
        let failure = Failure::from(tonic::Status::permission_denied("not yours"));
        assert_eq!(failure.to_string(), "error[GRPC_PERMISSION_DENIED]: not yours");
        assert_eq!(Failure::from(tonic::Status::not_found("")).code(), "GRPC_NOT_FOUND");
    }

    #[test]
    fn a_closed_pipe_is_no_news() {
        assert!(Failure::output(&std::io::ErrorKind::BrokenPipe.into()).is_silent());
        assert!(!Failure::output(&std::io::ErrorKind::StorageFull.into()).is_silent());
    }
}
