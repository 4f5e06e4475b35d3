//! The members of the demonstration make their key, as the operators of real nodes and the secretariat do it with `key result` and
//! `alliance key adopt`.

use std::time::Duration;

use tokio::time::error::Elapsed;
use tokio::time::{interval, timeout};

use super::{PATIENCE, read};
use crate::alliance::folder::{Access, AllianceFolder, MemberFolder, read_public, replace};
use crate::cli::Environment;
use crate::cli::alliance::{Secretariat, take_in};
use crate::cli::connection::Node as Client;
use crate::cli::failure::Failure;
use crate::daemon::{Node, Renewal, ServeError};
use crate::domain::Roster;
use crate::domain::limits::MAX_ROSTER_BYTES;
use crate::rpc::proto::key_service_client::KeyServiceClient;
use crate::rpc::proto::{KeyDetail, ListKeysRequest};

/// Waits until the holders have made the key, and takes it into use at every node.
pub(super) async fn make(
    folder: &AllianceFolder,
    homes: &[MemberFolder],
    nodes: &[Node],
    environment: &Environment,
) -> Result<(), Failure> {
    let (home, node) = (&homes[0], &nodes[0]);
    let signed = adopt(folder, home, environment, |_| ()).await?;
    // One node is given the roster, and the others learn it from there.
    replace(&home.roster_note(), &signed, Access::Public)?;
    node.renew(Renewal::from(read(home, environment)?)).await.map_err(ServeError::from)?;
    for home in homes {
        let in_use = |key: &KeyDetail| key.key.as_ref().filter(|key| key.state == "active").map(|_| ());
        timeout(PATIENCE, wait_for(home, environment, in_use)).await.map_err(slow)??;
    }
    Ok(())
}

fn slow(_: Elapsed) -> Failure {
    Failure::new("DEMO_SLOW", "the members did not make their key within a minute").advise("try again")
}

/// Waits until the holders have made the key, and signs the roster with which it is in use, and whatever else is to change.
pub(in crate::cli) async fn adopt(
    folder: &AllianceFolder,
    home: &MemberFolder,
    environment: &Environment,
    change: impl FnOnce(&mut Roster),
) -> Result<String, Failure> {
    let made = |key: &KeyDetail| key.own.as_ref().map(|own| own.note.clone()).filter(|note| !note.is_empty());
    let note = timeout(PATIENCE, wait_for(home, environment, made)).await.map_err(slow)??;
    let mut secretariat = Secretariat::open(folder.clone())?;
    let mut roster = secretariat.roster().clone();
    take_in(&mut roster, &String::from_utf8_lossy(&note))?;
    change(&mut roster);
    secretariat.change(environment.now(), |current| *current = roster)?;
    Ok(read_public(&folder.roster_note(), MAX_ROSTER_BYTES as u64)?)
}

/// Asks a member's node about its first key, until there is what is looked for.
async fn wait_for<T>(
    home: &MemberFolder,
    environment: &Environment,
    looked_for: impl Fn(&KeyDetail) -> Option<T>,
) -> Result<T, Failure> {
    let node = Client::reach(Some(&home.path().join("client.toml")), environment).await?;
    let mut client = KeyServiceClient::new(node.channel);
    let mut pause = interval(Duration::from_millis(20));
    loop {
        let keys = client.list_keys(ListKeysRequest {}).await?.into_inner().keys;
        if let Some(found) = keys.first().and_then(&looked_for) {
            return Ok(found);
        }
        pause.tick().await;
    }
}
