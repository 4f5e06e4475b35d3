//! `serve`.

use tokio::runtime::Builder;

use super::arguments::ServeArguments;
use super::failure::{Failure, Outcome};
use super::{Environment, wait_on};
use crate::daemon;
use crate::domain::limits::READERS_PER_PROCESSOR;
use crate::replication::OwnFeeds;
use crate::service::processors;

pub(super) fn run(arguments: &ServeArguments, environment: &Environment) -> Result<Outcome, Failure> {
    let mut threads = Builder::new_multi_thread();
    threads.worker_threads(processors()).max_blocking_threads(READERS_PER_PROCESSOR * processors()).enable_all();
    wait_on(&mut threads, async {
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
