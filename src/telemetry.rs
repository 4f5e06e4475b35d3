//! Logs: to standard error, as text for people or as JSON lines for machines.
//!
//! Standard output belongs to what a command prints. Nothing that is logged contains an identifier, a pseudonym, a secret or
//! what a client sent: events name members, feeds, positions, codes and counts. That is kept where events are made; here is no
//! filter that could make up for it.

use std::fmt;
use std::io::{self, IsTerminal as _};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tracing_subscriber::filter::{EnvFilter, LevelFilter};
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, reload};

/// How events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// A line for people, coloured on a terminal.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

impl FromStr for Format {
    type Err = TelemetryError;

    fn from_str(text: &str) -> Result<Self, TelemetryError> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(TelemetryError::Format),
        }
    }
}

/// Which events are written: a level, or directives divided by commas, such as `info,countermark::replication=debug`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Filter(String);

impl Filter {
    fn parse(&self) -> Result<EnvFilter, TelemetryError> {
        if !self.0.split(',').all(is_directive) {
            return Err(TelemetryError::Filter);
        }
        EnvFilter::builder().parse(&self.0).map_err(|_| TelemetryError::Filter)
    }
}

/// `level` or `module=level`. The library takes any other word for the name of a module, so that a misspelt level would switch
/// everything off; and its directives on spans and fields are of no use here.
fn is_directive(text: &str) -> bool {
    let (module, level) = text.rsplit_once('=').unwrap_or(("countermark", text));
    let is_module = module.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':');
    is_module && !module.is_empty() && !level.is_empty() && level.parse::<LevelFilter>().is_ok()
}

impl Default for Filter {
    fn default() -> Self {
        Self("info".to_owned())
    }
}

impl FromStr for Filter {
    type Err = TelemetryError;

    fn from_str(text: &str) -> Result<Self, TelemetryError> {
        let filter = Self(text.to_owned());
        filter.parse().map(|_| filter)
    }
}

impl TryFrom<String> for Filter {
    type Error = TelemetryError;

    fn try_from(text: String) -> Result<Self, TelemetryError> {
        text.parse()
    }
}

impl From<Filter> for String {
    fn from(filter: Filter) -> Self {
        filter.0
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Changes what is written while the program runs. Dropping it changes nothing.
#[derive(Clone)]
pub struct Telemetry {
    filter: reload::Handle<EnvFilter, Registry>,
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Telemetry")
    }
}

impl Telemetry {
    /// From now on, what `filter` lets through.
    ///
    /// # Errors
    /// [`TelemetryError::Filter`]; [`TelemetryError::Gone`] at the end of the program.
    pub fn set_filter(&self, filter: &Filter) -> Result<(), TelemetryError> {
        self.filter.reload(filter.parse()?).map_err(|_| TelemetryError::Gone)
    }
}

/// Begins to log. Once in a process, before the first event.
///
/// # Errors
/// [`TelemetryError::Started`] where something logs already; [`TelemetryError::Filter`].
pub fn init(format: Format, filter: &Filter) -> Result<Telemetry, TelemetryError> {
    let (filter, handle) = reload::Layer::new(filter.parse()?);
    let output = match format {
        Format::Text => layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal()).boxed(),
        Format::Json => layer().json().with_writer(io::stderr).boxed(),
    };
    tracing_subscriber::registry().with(filter).with(output).try_init().map_err(|_| TelemetryError::Started)?;
    Ok(Telemetry { filter: handle })
}

/// Why logging is not as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TelemetryError {
    /// No such format.
    #[error("give text or json")]
    Format,
    /// Not a filter.
    #[error("give error, warn, info, debug or trace, or directives such as info,countermark::replication=debug")]
    Filter,
    /// There is a logger in this process.
    #[error("logging was started before")]
    Started,
    /// There is no logger any more.
    #[error("logging has ended")]
    Gone,
}

impl TelemetryError {
    /// Stable; part of the interface.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Format => "LOG_FORMAT",
            Self::Filter => "LOG_FILTER",
            Self::Started => "LOG_STARTED",
            Self::Gone => "LOG_GONE",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_refused_before_it_is_used() {
        for good in ["info", "warn,countermark=debug", "off", "countermark::replication=trace,info"] {
            assert_eq!(good.parse::<Filter>().expect(good).to_string(), good);
        }
        for bad in ["", " ", "inof", "info,", "info,=", "=info", "loud=", "countermark=loud", "a=debug=info", "[span]=info"] {
            assert_eq!(bad.parse::<Filter>().expect_err(bad).code(), "LOG_FILTER");
        }
    }

    #[test]
    fn a_format_reads_back() {
        for format in [Format::Text, Format::Json] {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        assert_eq!("xml".parse::<Format>(), Err(TelemetryError::Format));
    }
}
