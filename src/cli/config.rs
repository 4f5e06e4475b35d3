//! `config check`.

use super::Environment;
use super::arguments::ConfigCheckArguments;
use super::failure::{Failure, Outcome};
use super::output::{Printer, Show};
use crate::config::{NodeConfig, Purpose, Summary};

pub(super) fn check(
    arguments: &ConfigCheckArguments,
    environment: &Environment,
    printer: &mut Printer,
) -> Result<Outcome, Failure> {
    let path = environment.variables.find(Purpose::Node, arguments.config.as_deref())?;
    let loaded = NodeConfig::load(&path, &environment.variables)?;
    let materials = loaded.materials(environment.now())?;
    loaded.check_roster(&materials)?;
    printer.show(&loaded.summary(&materials)?)?;
    Ok(Outcome::Done)
}

impl Show for Summary {
    fn table(&self) -> String {
        self.to_string()
    }
}
