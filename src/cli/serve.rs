//! `serve`.

use super::arguments::ServeArguments;
use super::failure::{Failure, Outcome};
use super::{Environment, wait_for};
use crate::daemon;

pub(super) fn run(arguments: &ServeArguments, environment: &Environment) -> Result<Outcome, Failure> {
    wait_for(async {
        daemon::serve(arguments.config.as_deref(), &environment.variables).await?;
        Ok(Outcome::Done)
    })
}
