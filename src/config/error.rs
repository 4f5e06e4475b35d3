use std::fmt;
use std::path::PathBuf;

use super::environment::Purpose;
use crate::alliance::folder::FolderError;
use crate::domain::{FieldError, KeyId, MemberId};
use crate::feed::{KeyError, RosterError};
use crate::pseudonym::PseudonymError;
use crate::rpc::identity::Identity;
use crate::rpc::tls::TlsError;

/// Where a setting was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In the configuration file. Line and column count from 1, columns in characters.
    File {
        /// The file.
        path: PathBuf,
        /// Its line.
        line: usize,
        /// The character in it.
        column: usize,
    },
    /// In an environment variable of this name.
    Variable(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Variable(name) => write!(f, "environment variable {name}"),
        }
    }
}

/// What is wrong at a place, in a sentence that says what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where.
    pub place: Place,
    /// What. Never a value.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// A setting and where it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Where.
    pub place: Place,
    /// `section.key`.
    pub key: String,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.key)
    }
}

/// Why there is no usable configuration. Everything but [`ConfigError::NotFound`] is put right at the place it names.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no configuration file where one is looked for.
    #[error("there is no configuration; give one with --config or {}, or put it at {}", purpose.variable(), list(looked_at))]
    NotFound {
        /// What for.
        purpose: Purpose,
        /// The paths that were tried, in their order.
        looked_at: Vec<PathBuf>,
    },
    /// The configuration file cannot be read.
    #[error("the configuration cannot be read")]
    Unreadable(#[source] FolderError),
    /// It is no TOML.
    #[error("{0}")]
    Syntax(Finding),
    /// It has a key that does not exist.
    #[error("{0}")]
    UnknownKey(Finding),
    /// It lacks a key that has no default.
    #[error("{0}")]
    MissingKey(Finding),
    /// A value is of the wrong kind or out of range, or contradicts another.
    #[error("{0}")]
    Value(Finding),
    /// A variable with our prefix that means no setting.
    #[error("environment variable {name}: no setting has this name; a variable is named COUNTERMARK__SECTION__KEY")]
    UnknownVariable {
        /// Its name.
        name: String,
    },
    /// A file or folder that a setting names cannot be used.
    #[error("{setting}: the file cannot be used")]
    File {
        /// Which setting.
        setting: Box<Setting>,
        /// Why.
        #[source]
        source: FolderError,
    },
    /// Certificate, key, CA and revocation lists are not usable together.
    #[error("{setting}: TLS cannot be set up with this")]
    Tls {
        /// The setting that is most likely at fault.
        setting: Box<Setting>,
        /// Why.
        #[source]
        source: TlsError,
    },
    /// The certificate names somebody else.
    #[error("{setting}: the certificate is for {found}, and this configuration needs {needed}")]
    Identity {
        /// The certificate's setting.
        setting: Box<Setting>,
        /// Whom it names.
        found: Identity,
        /// Who or what it should name.
        needed: String,
    },
    /// There are settings for traces, and this program has none.
    #[error("{setting}: this program was built without traces; build it with `--features otel`, or leave the section out")]
    TracesNotBuilt {
        /// The setting.
        setting: Box<Setting>,
    },
    /// The webhook's secret cannot be used.
    #[error("{setting}: the file holds 24 to 64 random bytes in base64, as the receiver has them")]
    WebhookSecret {
        /// Its setting.
        setting: Box<Setting>,
    },
    /// The first roster is not to be believed.
    #[error("{setting}: the roster cannot be used")]
    Roster {
        /// Its setting.
        setting: Box<Setting>,
        /// Why.
        #[source]
        source: RosterError,
    },
    /// The roster does not have this node's member as an active one.
    #[error("{setting}: roster {serial} does not list {member} as an active member; ask the secretariat")]
    NotAMember {
        /// The roster's setting.
        setting: Box<Setting>,
        /// Its serial.
        serial: u64,
        /// Who is not listed.
        member: MemberId,
    },
    /// The roster lists another feed key for this node's member.
    #[error("{setting}: this is not the feed key that roster {serial} lists for this member; give the one that was admitted")]
    WrongFeedKey {
        /// The feed key's setting.
        setting: Box<Setting>,
        /// The roster's serial.
        serial: u64,
    },
    /// A pseudonym key that the roster has in use is missing or another one.
    #[error("{setting}: the keys in this folder are not those that roster {serial} has in use")]
    RosterKeys {
        /// The folder's setting.
        setting: Box<Setting>,
        /// The roster's serial.
        serial: u64,
        /// Which, and why.
        #[source]
        source: PseudonymError,
    },
    /// The feed key's file holds something else.
    #[error("{setting}: the file holds no feed key")]
    FeedKey {
        /// Its setting.
        setting: Box<Setting>,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// The local secret's file holds something else.
    #[error("{setting}: the file holds no secret of a node's own")]
    LocalSecret {
        /// Its setting.
        setting: Box<Setting>,
        /// Why.
        #[source]
        source: FieldError,
    },
    /// A file in the folder of pseudonym keys has a name that is no key's.
    #[error("{setting}: a file in this folder has a name that is no key's; name each file `<key id>.key`")]
    KeyName {
        /// The folder's setting.
        setting: Box<Setting>,
        /// Why.
        #[source]
        source: FieldError,
    },
    /// More pseudonym keys than there can be.
    #[error("{setting}: more than {most} keys in this folder; remove those that the roster calls destroyed")]
    TooManyKeys {
        /// The folder's setting.
        setting: Box<Setting>,
        /// How many there may be.
        most: usize,
    },
    /// The file of a pseudonym key holds something else.
    #[error("{setting}: the file of key `{key}` holds no key")]
    PseudonymKey {
        /// The folder's setting.
        setting: Box<Setting>,
        /// Which key.
        key: KeyId,
        /// Why.
        #[source]
        source: PseudonymError,
    },
}

fn list(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    paths.join(" or ")
}

impl ConfigError {
    /// Stable; part of the interface.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "CONFIG_NOT_FOUND",
            Self::Unreadable(source) | Self::File { source, .. } => source.code(),
            Self::Syntax(_) => "CONFIG_SYNTAX",
            Self::UnknownKey(_) => "CONFIG_UNKNOWN_KEY",
            Self::MissingKey(_) => "CONFIG_MISSING_KEY",
            Self::Value(_) => "CONFIG_VALUE",
            Self::UnknownVariable { .. } => "CONFIG_UNKNOWN_VARIABLE",
            Self::Tls { source, .. } => source.code(),
            Self::Identity { .. } => "CONFIG_IDENTITY",
            Self::Roster { source, .. } => source.code(),
            Self::NotAMember { .. } => "NOT_A_MEMBER",
            Self::WrongFeedKey { .. } => "WRONG_FEED_KEY",
            Self::FeedKey { source, .. } => source.code(),
            Self::LocalSecret { source, .. } => source.code,
            Self::TracesNotBuilt { .. } => "TRACES_NOT_BUILT",
            Self::WebhookSecret { .. } => "CONFIG_WEBHOOK_SECRET",
            Self::KeyName { .. } | Self::TooManyKeys { .. } => "CONFIG_PSEUDONYM_KEYS",
            Self::PseudonymKey { .. } => "CONFIG_PSEUDONYM_KEY",
            Self::RosterKeys { source, .. } => source.code(),
        }
    }
}
