use crate::domain::{EntropyError, FieldError, KeyId};
use crate::rpc::tls::TlsError;

/// Why a ceremony cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum AllianceError {
    /// The file is longer than any good one.
    #[error("the file is too long")]
    TooLong,
    /// The file is not what it should be.
    #[error("the file cannot be read as a {what}")]
    Malformed {
        /// What it should be.
        what: &'static str,
        /// Where it goes wrong.
        #[source]
        source: serde_json::Error,
    },
    /// The file is of a format that this version does not know.
    #[error("the file is of another format; use a version of this program that knows it")]
    Format,
    /// A field is out of its bounds.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The signing request is not one of a P-256 key, or its signature does not hold.
    #[error("the certificate signing request is not one of an ECDSA P-256 key, signed by that key")]
    SigningRequest(#[source] Option<rcgen::Error>),
    /// The request was changed after it was signed, or its sender does not hold the feed key.
    #[error("the request is not signed by its feed key: it was changed on the way, or made by another")]
    Proof,
    /// The text is not a seed of a feed key.
    #[error("a feed key is 32 bytes in standard base64")]
    FeedKey,
    /// The text is not an envelope key.
    #[error("an envelope key is 32 bytes in standard base64")]
    EnvelopeKey,
    /// Sealing or opening failed.
    #[error("the envelope cannot be sealed or opened")]
    Envelope(#[source] rustls::Error),
    /// What was in the envelope is no secret of ours.
    #[error("the envelope does not contain the text of a key file")]
    EnvelopeContent,
    /// A sealed key is not for this member, or was changed on the way.
    #[error("the sealed key `{key}` cannot be opened with this member's envelope key")]
    SealedKey {
        /// Which one.
        key: KeyId,
        /// What the cipher says.
        #[source]
        source: Box<AllianceError>,
    },
    /// The admission is for another member or alliance.
    #[error("the admission is for another member or another alliance")]
    OtherMember,
    /// The certificate that came, or one of our own, is not good.
    #[error("the certificate cannot be used")]
    Tls(#[from] TlsError),
    /// The CA certificate or its key cannot be read.
    #[error("the CA certificate and its key cannot be read as PEM of X.509 and PKCS #8")]
    Authority(#[source] rcgen::Error),
    /// The CA key belongs to another certificate.
    #[error("the CA key does not belong to the CA certificate")]
    AuthorityMismatch,
    /// The revocation list that is to be continued is not one of this CA.
    #[error("the revocation list is not one that this CA made")]
    RevocationList,
    /// A certificate cannot be made.
    #[error("the certificate cannot be made")]
    Certificate(#[source] rcgen::Error),
    /// The clock shows a time that certificates cannot hold.
    #[error("the clock shows a time outside the years 1970 to 9999")]
    Clock,
    /// There are no random bytes.
    #[error("no key can be made")]
    Entropy(#[from] EntropyError),
}

impl AllianceError {
    /// Stable; part of the interface.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLong => "FILE_TOO_LONG",
            Self::Malformed { .. } => "FILE_MALFORMED",
            Self::Format => "FILE_FORMAT",
            Self::Field(error) => error.code,
            Self::SigningRequest(_) => "JOIN_REQUEST_CSR",
            Self::Proof => "JOIN_REQUEST_PROOF",
            Self::FeedKey => "FEED_KEY_INVALID",
            Self::EnvelopeKey => "ENVELOPE_KEY_INVALID",
            Self::Envelope(_) => "ENVELOPE_FAILED",
            Self::EnvelopeContent => "ENVELOPE_CONTENT",
            Self::SealedKey { .. } => "ADMISSION_SEALED_KEY",
            Self::OtherMember => "ADMISSION_OTHER_MEMBER",
            Self::Tls(error) => error.code(),
            Self::Authority(_) => "CA_INVALID",
            Self::AuthorityMismatch => "CA_KEY_MISMATCH",
            Self::RevocationList => "CA_REVOCATION_LIST",
            Self::Certificate(_) => "CA_CERTIFICATE",
            Self::Clock => "CLOCK_OUT_OF_RANGE",
            Self::Entropy(_) => "ENTROPY",
        }
    }
}
