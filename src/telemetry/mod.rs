//! Logs: to standard error, as text for people or as JSON lines for machines. And traces of calls, to a collector on this machine, where
//! the program is built with the feature `otel`.
//!
//! Standard output belongs to what a command prints. Nothing that is logged or traced contains an identifier, a pseudonym, a secret or
//! what a client sent: events name members, feeds, positions, codes and counts, and spans what is told in metrics. That is kept where
//! they are made; here is no filter that could make up for it. Logs have no spans, and traces no events.

#[cfg(feature = "otel")]
mod traces;

use std::fmt;
use std::io::{self, IsTerminal as _};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tracing_subscriber::filter::{EnvFilter, FilterExt as _, LevelFilter, filter_fn};
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, reload};

/// Whether this program can hand traces to a collector.
pub const HAS_TRACES: bool = cfg!(feature = "otel");

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

/// Who is handed traces, and whose they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collector {
    /// Where it listens for OTLP over gRPC, on this machine.
    pub address: SocketAddr,
    /// The member whose node it is.
    pub member: String,
    /// Of so many traces that no client has decided about one is recorded.
    pub one_in: NonZeroU32,
}

/// Changes what is written while the program runs. Dropping it changes nothing.
#[derive(Clone)]
pub struct Telemetry {
    filter: reload::Handle<EnvFilter, Registry>,
    #[cfg(feature = "otel")]
    traces: Option<traces::Traces>,
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

    /// Hands over the spans that wait, within [`crate::domain::limits::TRACES_STOP_TIMEOUT`], and none from now on. Logs go on.
    pub async fn end_traces(&self) {
        #[cfg(feature = "otel")]
        if let Some(traces) = &self.traces {
            traces.end().await;
        }
    }
}

/// Begins to log, and to trace where there is a collector. Once in a process, before the first event, in the runtime that lasts until
/// the end.
///
/// # Errors
/// [`TelemetryError::Started`] where something logs already; [`TelemetryError::Filter`]; [`TelemetryError::TracesNotBuilt`] where this
/// program cannot trace, and [`TelemetryError::Traces`] where it cannot begin to.
pub fn init(format: Format, filter: &Filter, collector: Option<&Collector>) -> Result<Telemetry, TelemetryError> {
    let (filter, handle) = reload::Layer::new(filter.parse()?);
    let output = match format {
        Format::Text => layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal()).boxed(),
        Format::Json => layer().json().with_writer(io::stderr).boxed(),
    };
    // A span has no place in the log, whosever it is. The hint takes back what the filter says without one: that any level may pass.
    let events = filter_fn(|metadata| metadata.is_event()).with_max_level_hint(LevelFilter::TRACE);
    let logs = tracing_subscriber::registry().with(output.with_filter(filter.and(events)));
    #[cfg(feature = "otel")]
    {
        let traces = collector.map(traces::Traces::to).transpose()?;
        // Without traces there is no layer for them at all: one that is `None` would have every span be made.
        let started = match &traces {
            Some(traces) => logs.with(traces.layer()).try_init(),
            None => logs.try_init(),
        };
        started.map(|()| Telemetry { filter: handle, traces }).map_err(|_| TelemetryError::Started)
    }
    #[cfg(not(feature = "otel"))]
    {
        if collector.is_some() {
            return Err(TelemetryError::TracesNotBuilt);
        }
        logs.try_init().map(|()| Telemetry { filter: handle }).map_err(|_| TelemetryError::Started)
    }
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
    /// This program cannot trace.
    #[error("this program was built without traces: build it with `--features otel`, or leave [traces] out")]
    TracesNotBuilt,
    /// What hands traces over cannot be set up, because of a variable of the environment that it reads.
    #[error("traces cannot be handed over; remove the variables OTEL_* from the environment")]
    Traces,
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
            Self::TracesNotBuilt => "TRACES_NOT_BUILT",
            Self::Traces => "TRACES_SETUP",
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
