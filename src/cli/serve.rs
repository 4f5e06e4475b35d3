//! `serve`.

use super::arguments::ServeArguments;
use super::failure::{Failure, Outcome};
use super::{Environment, wait_on};
use crate::daemon;
use crate::replication::OwnFeeds;

pub(super) fn run(arguments: &ServeArguments, environment: &Environment) -> Result<Outcome, Failure> {
    // As many threads as the machine has processors.
    wait_on(tokio::runtime::Builder::new_multi_thread().enable_all(), async {
        daemon::serve(arguments.config.as_deref(), own_feeds(arguments), &environment.variables).await?;
        Ok(Outcome::Done)
    })
}

const fn own_feeds(arguments: &ServeArguments) -> OwnFeeds {
    match (arguments.recover_own_feed, arguments.trust_own_feed) {
        (true, _) => OwnFeeds::Recover,
        (false, true) => OwnFeeds::Trust,
        (false, false) => OwnFeeds::Confirm,
    }
}
