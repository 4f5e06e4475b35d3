//! What an operator decides: one TOML file for a node, one for those who call it, and overrides from the environment.
//!
//! A flag goes before the environment, the environment before the file, the file before the default. All of it is validated
//! before anything is bound or written: a mistake is found by `config check` and at start, with its place and what to do, and
//! never later. Unknown keys are refused, so that a misspelt one does not hold silently.
//!
//! Secrets stand in files of their own, which only their owner can read; the configuration names the files. No error, summary
//! or `Debug` here shows what is in them, nor a value that was written where the path of a secret belongs.
//!
//! Nothing here reads the environment or the working directory's files: [`Environment`] is handed in by the top.

mod client;
mod document;
mod environment;
mod error;
mod materials;
mod node;
mod summary;
#[cfg(test)]
mod tests;
mod values;

pub use client::{CallSettings, ClientConfig, ClientMaterials, LoadedClient};
pub use document::Loaded;
pub use environment::{Environment, Purpose, SYSTEM_DATA_DIR, SYSTEM_FOLDER};
pub use error::{ConfigError, Finding, Place, Setting};
pub use materials::Materials;
pub use node::{
    ClientSettings, KeySettings, LoadedConfig, LogSettings, NodeConfig, NodeSettings, PeerSettings, RosterSettings,
    StoreSettings,
};
pub use summary::{AccessSummary, CertificateSummary, CrlSummary, RosterSummary, Summary};
pub use values::{Address, ClientRoles, NodeName, Share};
