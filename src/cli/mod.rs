//! The command line: arguments in, words and an exit code out.
//!
//! Arguments become usable arguments in one step ([`arguments`]); each command then works on what it was given and prints
//! through the one [`output::Printer`]. Data goes to standard output, notes and errors to standard error. What a command does
//! to an alliance or a node stands in the layers below; here is what a person sees of it. No identifier of a seller is ever
//! printed, whoever typed it.
//!
//! Exit codes: 0 done, 1 failed, 2 the command line is wrong, 3 `check` found a seller flagged.

mod alliance;
mod arguments;
mod audit;
mod backup;
mod bench;
mod cases;
mod check;
mod completions;
mod config;
mod connection;
mod demo;
mod doctor;
mod environment;
mod evidence;
mod exchange;
mod failure;
mod feed;
mod fingerprint;
pub mod foreign;
mod goods;
pub mod input;
mod issued;
mod keys;
mod leads;
mod loopback;
mod man;
mod member;
mod output;
mod reading;
mod reload;
mod restore;
mod retract;
mod ring;
mod serve;
mod statement;
mod status;
mod store;
mod submit;
mod thresholds;
mod usage;
mod watch;
mod words;

use std::ffi::OsString;
use std::future::Future;
use std::process::ExitCode;

use clap::Parser as _;
use tokio::runtime::Builder;

pub use environment::Environment;

use arguments::{Arguments, Command, ConfigCommand, FeedCommand, StoreCommand};
use failure::{Failure, Outcome};
use output::Printer;

/// Runs the command that `arguments` name, the program's own name first, and says how it ended.
pub fn run(arguments: impl IntoIterator<Item = OsString>, environment: &Environment) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => return usage::refuse(&error),
    };
    let mut printer = Printer::of_process(arguments.output);
    let outcome = dispatch(arguments.command, environment, &mut printer);
    // What was printed before a failure is printed all the same.
    let outcome = printer.finish().and(outcome);
    outcome
        .unwrap_or_else(|failure| {
            if !failure.is_silent() {
                printer.note(&failure);
            }
            failure.outcome()
        })
        .into()
}

fn dispatch(command: Command, environment: &Environment, printer: &mut Printer) -> Result<Outcome, Failure> {
    match command {
        Command::Serve(arguments) => serve::run(&arguments, environment),
        Command::Bench(arguments) => bench::run(&arguments, environment, printer),
        Command::AnswerNothing(arguments) => wait_for(bench::nothing::run(&arguments, environment)),
        Command::Demo(arguments) => demo::run(&arguments, environment, printer),
        Command::Alliance(command) => alliance::run(command, environment, printer),
        Command::Member(command) => member::run(command, environment, printer),
        Command::Config(ConfigCommand::Check(arguments)) => config::check(&arguments, environment, printer),
        Command::Submit(arguments) => wait_for(submit::run(*arguments, environment, printer)),
        Command::Check(arguments) => wait_for(check::run(*arguments, environment, printer)),
        Command::Retract(arguments) => wait_for(retract::run(*arguments, environment, printer)),
        Command::Signal(arguments) => wait_for(cases::signal(arguments, environment, printer)),
        Command::Amend(arguments) => wait_for(cases::amend(*arguments, environment, printer)),
        Command::Erase(arguments) => wait_for(cases::erase(arguments, environment, printer)),
        Command::Erasures(arguments) => wait_for(cases::erasures(arguments, environment, printer)),
        Command::Dispute(command) => wait_for(cases::dispute(command, environment, printer)),
        Command::Opinion(arguments) => wait_for(cases::opinion(arguments, environment, printer)),
        Command::Mark(arguments) => wait_for(cases::mark(*arguments, environment, printer)),
        Command::Unmark(arguments) => wait_for(cases::unmark(arguments, environment, printer)),
        Command::Override(command) => wait_for(cases::overrides(command, environment, printer)),
        Command::Watch(arguments) => wait_for(watch::watch(arguments, environment, printer)),
        Command::Alerts(arguments) => wait_for(watch::alerts(arguments, environment, printer)),
        Command::Ring(arguments) => wait_for(ring::run(*arguments, environment, printer)),
        Command::Leads(arguments) => wait_for(leads::run(*arguments, environment, printer)),
        Command::Audit(arguments) => wait_for(audit::run(*arguments, environment, printer)),
        Command::Status(arguments) => wait_for(status::run(&arguments, environment, printer)),
        Command::Doctor(arguments) => wait_for(doctor::run(arguments, environment, printer)),
        Command::Reload(arguments) => wait_for(reload::run(&arguments, environment, printer)),
        Command::Key(command) => wait_for(keys::run(command, environment, printer)),
        Command::Backup(arguments) => wait_for(backup::run(arguments, environment, printer)),
        Command::Restore(arguments) => restore::run(arguments, environment, printer),
        Command::Store(StoreCommand::Verify(arguments)) => restore::verify_offline(&arguments, environment, printer),
        Command::Store(StoreCommand::Rebuild(arguments)) => wait_for(store::rebuild(&arguments, environment, printer)),
        Command::Store(StoreCommand::Purge(arguments)) => wait_for(store::purge(&arguments, environment, printer)),
        Command::Feed(FeedCommand::Verify(arguments)) => feed::verify(&arguments, printer),
        Command::Completions(arguments) => completions::run(&arguments, printer),
        Command::Man(arguments) => man::run(&arguments, printer),
    }
}

/// Waits for a command that talks to a node.
fn wait_for(command: impl Future<Output = Result<Outcome, Failure>>) -> Result<Outcome, Failure> {
    wait_on(Builder::new_multi_thread().worker_threads(2).enable_all(), command)
}

fn wait_on(runtime: &mut Builder, command: impl Future<Output = Result<Outcome, Failure>>) -> Result<Outcome, Failure> {
    let runtime = runtime.build().map_err(|error| Failure::of("RUNTIME", &error))?;
    let outcome = runtime.block_on(command);
    // A read from standard input that nobody waits for any more would hold the process until its next line.
    runtime.shutdown_background();
    outcome
}
