//! `store rebuild` and `store purge`.

use serde::Serialize;

use super::Environment;
use super::arguments::{StorePurgeArguments, StoreRebuildArguments};
use super::connection::Node;
use super::failure::{Failure, Outcome};
use super::output::{Printer, Show, facts};
use crate::rpc::proto::node_service_client::NodeServiceClient;
use crate::rpc::proto::{PurgeStoreRequest, RebuildIndexRequest, RebuildIndexResponse};

pub(super) async fn rebuild(
    arguments: &StoreRebuildArguments,
    environment: &Environment,
    printer: &mut Printer,
) -> Result<Outcome, Failure> {
    let node = Node::reach(arguments.node.config.as_deref(), environment).await?;
    let rebuilt = NodeServiceClient::new(node.channel).rebuild_index(RebuildIndexRequest {}).await?.into_inner();
    printer.show(&Rebuilt::of(rebuilt))?;
    Ok(Outcome::Done)
}

pub(super) async fn purge(
    arguments: &StorePurgeArguments,
    environment: &Environment,
    printer: &mut Printer,
) -> Result<Outcome, Failure> {
    let node = Node::reach(arguments.node.config.as_deref(), environment).await?;
    let purged = NodeServiceClient::new(node.channel).purge_store(PurgeStoreRequest {}).await?.into_inner().purged;
    printer.show(&Purged { purged })?;
    Ok(Outcome::Done)
}

/// What a purge came to. Its JSON fields are part of the interface.
#[derive(Debug, Serialize)]
struct Purged {
    /// False where nothing was erased since the files were written.
    purged: bool,
}

impl Show for Purged {
    fn table(&self) -> String {
        let outcome =
            if self.purged { "the files were written anew" } else { "nothing was erased since the files were written" };
        facts([("outcome", outcome.to_owned())])
    }
}

/// What a rebuild came to. Its JSON fields are part of the interface.
#[derive(Debug, Serialize)]
struct Rebuilt {
    /// False where what was derived before was wrong, or entries came in meanwhile.
    unchanged: bool,
    before: Derived,
    after: Derived,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Derived {
    /// Lower-case hexadecimal.
    view_digest: String,
    index_rows: u64,
}

impl Derived {
    fn new(digest: &[u8], index_rows: u64) -> Self {
        Self { view_digest: hex::encode(digest), index_rows }
    }

    fn line(&self) -> String {
        let digest = self.view_digest.get(..16).unwrap_or(&self.view_digest);
        format!("{} rows, view {digest}", self.index_rows)
    }
}

impl Rebuilt {
    fn of(rebuilt: RebuildIndexResponse) -> Self {
        let before = Derived::new(&rebuilt.view_digest_before, rebuilt.index_rows_before);
        let after = Derived::new(&rebuilt.view_digest_after, rebuilt.index_rows_after);
        Self { unchanged: before == after, before, after }
    }
}

impl Show for Rebuilt {
    fn table(&self) -> String {
        let outcome = if self.unchanged { "as before" } else { "CHANGED; ask again, entries may have come in meanwhile" };
        facts([("before", self.before.line()), ("after", self.after.line()), ("outcome", outcome.to_owned())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rebuilt(after: u64) -> Rebuilt {
        Rebuilt::of(RebuildIndexResponse {
            view_digest_before: vec![0xab; 32].into(),
            index_rows_before: 12,
            view_digest_after: vec![0xab; 32].into(),
            index_rows_after: after,
        })
    }

    #[test]
    fn a_rebuild_at_a_glance() {
        let expected = "\
before         12 rows, view abababababababab
after          12 rows, view abababababababab
outcome        as before
";
        assert_eq!(rebuilt(12).table(), expected);
        assert!(rebuilt(13).table().ends_with("outcome        CHANGED; ask again, entries may have come in meanwhile\n"));
    }

    #[test]
    fn a_rebuild_for_a_program() {
        let derived = |rows: u64| serde_json::json!({"view_digest": "ab".repeat(32), "index_rows": rows});
        let expected = serde_json::json!({"unchanged": false, "before": derived(12), "after": derived(13)});
        assert_eq!(serde_json::to_value(rebuilt(13)).expect("JSON"), expected);
    }
}
