//! `completions`: what makes a shell complete the command line, out of the definition of its arguments.

use clap::{Args, Command, CommandFactory as _};
use clap_complete::Shell;
use serde::Serialize;

use super::arguments::Arguments;
use super::failure::{Failure, Outcome};
use super::output::{Printer, Show};

const COMPLETIONS_HELP: &str = "\
Where a shell looks for them, for all users:
  bash        countermark completions bash > /usr/share/bash-completion/completions/countermark
  zsh         countermark completions zsh > /usr/share/zsh/vendor-completions/_countermark
  fish        countermark completions fish > /usr/share/fish/vendor_completions.d/countermark.fish
  elvish      countermark completions elvish > ~/.config/elvish/lib/countermark.elv, and `use countermark` in rc.elv
  powershell  countermark completions powershell >> $PROFILE

JSON: {shell, script}.";

#[derive(Args)]
#[command(after_long_help = COMPLETIONS_HELP)]
pub(super) struct CompletionsArguments {
    /// The shell.
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

pub(super) fn run(arguments: &CompletionsArguments, printer: &mut Printer) -> Result<Outcome, Failure> {
    let mut command = shown();
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "countermark", &mut script);
    let script = String::from_utf8(script).map_err(|error| Failure::of("OUTPUT_FAILED", &error))?;
    printer.show(&Completions { shell: arguments.shell.to_string(), script })?;
    Ok(Outcome::Done)
}

/// The program as `--help` shows it. The generators would offer hidden commands too, and all others once more below `help`; clap
/// takes no command away from a definition, so this one is made of those that stay.
fn shown() -> Command {
    let program = Arguments::command();
    let commands = program.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    let shown = Command::new("countermark").version(env!("CARGO_PKG_VERSION")).disable_help_subcommand(true);
    shown.args(program.get_arguments().cloned()).subcommands(commands)
}

/// The script as it is printed. Its JSON fields are part of the interface.
#[derive(Serialize)]
struct Completions {
    shell: String,
    script: String,
}

impl Show for Completions {
    fn table(&self) -> String {
        self.script.clone()
    }
}
