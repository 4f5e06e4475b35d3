//! `doctor`: whether a node can run and does, and what to do where it cannot.
//!
//! It looks at what lies on this machine first, then at the node, if one runs here, then at the other members' nodes, as this node
//! would dial them. It changes nothing. What it finds names files, members, addresses and codes, and no secret, so that it can be
//! handed to whoever helps.

mod bundle;
mod local;
mod network;

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::Environment;
use super::failure::{Failure, Outcome};
use super::output::{Printer, Show, plain};
use crate::config::{NodeConfig, Purpose};

const DOCTOR_HELP: &str = "\
Run it on the node's machine, as the user that runs the node. Exit code 1 where anything is at fault. Warnings are for a person to weigh:
another member's node that is down is no fault of this one.

JSON: {findings: [{check, state, subject, code, sentence, fix}]}; state is ok, warning, fault or skipped; code and fix are empty where all is
well.";

#[derive(Args)]
#[command(after_help = DOCTOR_HELP)]
pub(super) struct DoctorArguments {
    /// The node's configuration, or the folder of its node.toml; else COUNTERMARK_CONFIG names it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A client's configuration, or the folder of its client.toml, to ask the node how it is; else COUNTERMARK_CLIENT names it.
    #[arg(long, value_name = "FILE")]
    client: Option<PathBuf>,
    /// Look at this machine alone, and dial nobody.
    #[arg(long)]
    offline: bool,
    /// Write what was found, with the node's state and metrics, to a new file (.tar.gz) for whoever helps. It holds names of members and
    /// clients, addresses and versions; no key, no pseudonym, no identifier of a seller.
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
}

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Ok,
    Warning,
    Fault,
    Skipped,
}

impl State {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "WARNING",
            Self::Fault => "FAULT",
            Self::Skipped => "skipped",
        }
    }
}

/// One thing that was looked at. Its JSON fields are part of the interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    /// What was looked at.
    check: &'static str,
    state: State,
    /// Which one of several: a file, a member.
    subject: String,
    code: String,
    sentence: String,
    /// What to do.
    fix: String,
}

impl Finding {
    fn new(check: &'static str, state: State, subject: impl Into<String>, sentence: impl Into<String>) -> Self {
        let (code, fix) = Default::default();
        Self { check, state, subject: subject.into(), code, sentence: sentence.into(), fix }
    }

    fn ok(check: &'static str, subject: impl Into<String>, sentence: impl Into<String>) -> Self {
        Self::new(check, State::Ok, subject, sentence)
    }

    fn skipped(check: &'static str, sentence: impl Into<String>) -> Self {
        Self::new(check, State::Skipped, "", sentence)
    }

    /// That a failure is in the way.
    fn of(check: &'static str, state: State, subject: impl Into<String>, failure: &Failure) -> Self {
        let finding = Self::new(check, state, subject, failure.sentences());
        finding.coded(failure.code()).fix(failure.advice())
    }

    fn coded(self, code: impl Into<String>) -> Self {
        Self { code: code.into(), ..self }
    }

    fn fix(self, fix: impl Into<String>) -> Self {
        Self { fix: fix.into(), ..self }
    }

    fn text(&self) -> String {
        let about = if self.subject.is_empty() { String::new() } else { format!("{}: ", self.subject) };
        let code = if self.code.is_empty() { String::new() } else { format!(" [{}]", self.code) };
        let line = plain(&format!("{:<8} {:<13} {about}{}{code}", self.state.as_str(), self.check, self.sentence)) + "\n";
        match self.fix.is_empty() {
            true => line,
            false => line + &plain(&format!("{:<8} {:<13} what to do: {}", "", "", self.fix)) + "\n",
        }
    }
}

/// All that was found.
#[derive(Debug, Serialize)]
struct Diagnosis {
    findings: Vec<Finding>,
}

impl Diagnosis {
    fn count(&self, state: State) -> usize {
        self.findings.iter().filter(|finding| finding.state == state).count()
    }
}

impl Show for Diagnosis {
    fn table(&self) -> String {
        let lines: String = self.findings.iter().map(Finding::text).collect();
        let (faults, warnings) = (self.count(State::Fault), self.count(State::Warning));
        let sum = match (faults, warnings) {
            (0, 0) => "All is well.\n".to_owned(),
            _ => format!("Faults: {faults}; warnings: {warnings}.\n"),
        };
        lines + "\n" + &sum
    }
}

pub(super) async fn run(
    arguments: DoctorArguments,
    environment: &Environment,
    printer: &mut Printer,
) -> Result<Outcome, Failure> {
    let DoctorArguments { config, client, offline, bundle } = arguments;
    let path = environment.variables.find(Purpose::Node, config.as_deref());
    let loaded = path.map_err(Failure::from).and_then(|path| Ok(NodeConfig::load(&path, &environment.variables)?));
    let mut bundled = bundle::Contents::default();
    let findings = match &loaded {
        Err(failure) => vec![Finding::of("configuration", State::Fault, "", failure)],
        Ok(loaded) => {
            let (mut findings, materials) = local::look(loaded, environment);
            bundled.configuration(materials.as_ref().and_then(|materials| loaded.summary(materials).ok()));
            match materials {
                Some(materials) if !offline => {
                    findings.extend(network::look(loaded, &materials, client.as_deref(), environment, &mut bundled).await);
                }
                Some(_) => findings.push(Finding::skipped("network", "nobody was dialled, as asked")),
                None => findings.push(Finding::skipped("network", "nobody can be dialled before the faults above are mended")),
            }
            findings
        }
    };
    let diagnosis = Diagnosis { findings };
    printer.end_progress();
    printer.show(&diagnosis)?;
    if let Some(file) = bundle {
        bundled.write(&file, &diagnosis, environment.now())?;
        printer.note(format_args!("wrote {}; look through it before you hand it on", file.display()));
    }
    Ok(if diagnosis.count(State::Fault) == 0 { Outcome::Done } else { Outcome::Failed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagnosis_says_what_is_wrong_and_what_to_do() {
        let findings = vec![
            Finding::ok("configuration", "/etc/countermark/node.toml", "reads well"),
            Finding::new("clock", State::Fault, "", "this machine's clock is 90 s behind")
                .coded("CLOCK_WRONG")
                .fix("synchronise it"),
            Finding::skipped("network", "nobody was dialled, as asked"),
        ];
        let diagnosis = Diagnosis { findings };
        let expected = "\
ok       configuration /etc/countermark/node.toml: reads well
FAULT    clock         this machine's clock is 90 s behind [CLOCK_WRONG]
                       what to do: synchronise it
skipped  network       nobody was dialled, as asked

Faults: 1; warnings: 0.
";
        assert_eq!(diagnosis.table(), expected);
    }
}
