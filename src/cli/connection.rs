//! The way from a client's configuration to its node.

use std::path::Path;
use std::sync::Arc;

use tonic::transport::Channel;

use super::Environment;
use super::failure::Failure;
use crate::config::{ClientConfig, Purpose, Share};
use crate::domain::limits::MAX_PAGE;
use crate::rpc::connector::connect;
use crate::rpc::tls::client_config;

/// A node that answers.
pub(super) struct Node {
    pub(super) channel: Channel,
    /// Above this share of the live signals a retraction wants a confirmation.
    pub(super) retract_share: Share,
}

impl Node {
    /// Connects as the client that the configuration names.
    ///
    /// # Errors
    /// Where the configuration is not good or the node does not let us in.
    pub(super) async fn reach(config: Option<&Path>, environment: &Environment) -> Result<Self, Failure> {
        let path = environment.variables.find(Purpose::Client, config)?;
        let loaded = ClientConfig::load(&path, &environment.variables)?;
        let materials = loaded.materials()?;
        let tls = Arc::new(client_config(&materials.own, &materials.servers)?);
        let settings = &loaded.config.client;
        let channel = connect(settings.address.as_str(), settings.server_name.to_string(), tls).await?;
        Ok(Self { channel, retract_share: settings.retract_share })
    }
}

/// Rows that a listing is asked for at once.
pub(super) fn page_size() -> u32 {
    u32::try_from(MAX_PAGE).unwrap_or(0)
}
