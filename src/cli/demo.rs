//! `demo`.

use super::Environment;
use super::arguments::DemoArguments;
use super::failure::{Failure, Outcome};
use super::output::Printer;

pub(super) fn run(arguments: &DemoArguments, environment: &Environment, printer: &mut Printer) -> Result<Outcome, Failure> {
    run_demo(arguments, environment, printer)
}

/// Brings up a small alliance, lets it work, and shows what each member learned.
fn run_demo(_arguments: &DemoArguments, _environment: &Environment, _printer: &mut Printer) -> Result<Outcome, Failure> {
    Err(Failure::new("NOT_BUILT", "this build has no demonstration").advise("use a build that has it"))
}
