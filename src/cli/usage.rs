//! What is said of a command line that is wrong.
//!
//! Anything that was typed may be an identifier in the wrong place, and standard error ends in the logs of whoever runs the
//! program. So of an error only that is shown which stands in our own definition of the arguments: its kind, the argument, the
//! values that it takes, the usage. Never what was typed.

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::failure::{Failure, Outcome};
use super::output::{OutputFormat, Printer};
use crate::domain::FieldError;

/// What an error may know that is ours, with the words before it.
const OWN: [(ContextKind, &str); 5] = [
    (ContextKind::PriorArg, "beside"),
    (ContextKind::ValidValue, "one of"),
    (ContextKind::ValidSubcommand, "one of"),
    (ContextKind::SuggestedArg, "perhaps"),
    (ContextKind::SuggestedSubcommand, "perhaps"),
];

/// Help and versions are no errors; they go to standard output, the rest to standard error.
pub(super) fn refuse(error: &clap::Error) -> ExitCode {
    let outcome = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            match (error.use_stderr(), error.print()) {
                (true, _) => Outcome::Usage,
                (false, Ok(())) => Outcome::Done,
                (false, Err(_)) => Outcome::Failed,
            }
        }
        _ => {
            Printer::of_process(OutputFormat::Table).note(explained(error));
            Outcome::Usage
        }
    };
    outcome.into()
}

fn explained(error: &clap::Error) -> Failure {
    let kind = error.kind();
    let mut sentence = kind.as_str().unwrap_or("the command line is wrong").to_owned();
    // Of an argument that is not known, its name is what was typed.
    if kind != ErrorKind::UnknownArgument
        && let Some(arguments) = error.get(ContextKind::InvalidArg)
    {
        sentence += &format!(": {}", words(arguments));
    }
    for (context, before) in OWN {
        if let Some(value) = error.get(context).map(words).filter(|value| !value.is_empty()) {
            sentence += &format!(", {before} {value}");
        }
    }
    // Our own types say what they take, and never what they were given.
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<FieldError>());
    if let Some(cause) = cause {
        sentence += &format!("; {}", cause.message);
    }
    let usage = error.get(ContextKind::Usage).map(words).unwrap_or_default();
    let advice = format!("{usage}\nFor more information, try '--help'.");
    Failure::usage(sentence).advise(advice.trim().to_owned())
}

fn words(value: &ContextValue) -> String {
    match value {
        ContextValue::String(text) => text.clone(),
        ContextValue::Strings(texts) => texts.join(", "),
        ContextValue::StyledStr(text) => text.to_string(),
        _ => String::new(),
    }
}
