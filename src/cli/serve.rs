//! `serve`.

use super::Environment;
use super::arguments::ServeArguments;
use super::failure::{Failure, Outcome};
use crate::config::Purpose;

pub(super) fn run(arguments: &ServeArguments, environment: &Environment) -> Result<Outcome, Failure> {
    let config = environment.variables.find(Purpose::Node, arguments.config.as_deref())?;
    run_node(&config, environment)
}

/// Runs the node of the configuration at `config` until it is told to stop.
fn run_node(_config: &std::path::Path, _environment: &Environment) -> Result<Outcome, Failure> {
    Err(Failure::new("NOT_BUILT", "this build has no daemon").advise("use a build that has it"))
}
