use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tonic::Code;
use tonic::codegen::http::HeaderMap;
use tracing::field::Empty;
use tracing::instrument::Instrumented;
use tracing::{Instrument as _, Span, span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::domain::limits::MAX_TRACEPARENT_BYTES;
use crate::domain::spans::{LEVEL, TARGET};
use crate::rpc::identity::Identity;
use crate::rpc::meters::{Listener, name_of};
use crate::rpc::methods::Method;

/// Of all services that are named.
const PACKAGE: &str = "countermark.v1";
/// Where a caller names the span that its call is part of (W3C Trace Context).
const TRACEPARENT: &str = "traceparent";

/// The span of a call at hand, in the words of OpenTelemetry's conventions for gRPC. Dropped before [`Self::ended`] it says that the call
/// was cancelled.
pub(in crate::rpc) struct CallSpan {
    span: Span,
    ended: bool,
}

impl CallSpan {
    pub(in crate::rpc) fn begin(listener: Listener, method: &Method, identity: Option<&Identity>, headers: &HeaderMap) -> Self {
        let span = span!(
            target: TARGET,
            LEVEL,
            "call",
            otel.name = Empty,
            otel.kind = "server",
            otel.status_code = Empty,
            rpc.system = "grpc",
            rpc.service = Empty,
            rpc.method = Empty,
            rpc.grpc.status_code = Empty,
            "error.type" = Empty,
            countermark.listener = listener.as_str(),
            countermark.caller = identity.map(Identity::own_name),
        );
        if span.is_disabled() {
            return Self { span, ended: true };
        }
        match method.name.split_once('/') {
            Some((service, name)) => {
                span.record("otel.name", format_args!("{PACKAGE}.{service}/{name}"));
                span.record("rpc.service", format_args!("{PACKAGE}.{service}"));
                span.record("rpc.method", name);
            }
            None => {
                span.record("otel.name", &*method.name);
                span.record("rpc.method", &*method.name);
            }
        }
        if listener == Listener::Clients
            && let Some(parent) = parent_in(headers)
            && let Err(error) = span.set_parent(parent)
        {
            tracing::debug!(%error, "a call is no part of its caller's trace");
        }
        Self { span, ended: false }
    }

    /// `work`, whose parts are parts of this span.
    pub(in crate::rpc) fn around<F: Future>(&self, work: F) -> Instrumented<F> {
        work.instrument(self.span.clone())
    }

    /// It has its answer, with this code, and where that is no success with this reason.
    pub(in crate::rpc) fn ended(&mut self, code: Code, reason: Option<&str>) {
        if self.span.is_disabled() {
            return;
        }
        self.ended = true;
        self.span.record("rpc.grpc.status_code", i32::from(code));
        if code != Code::Ok {
            self.span.record("error.type", reason.unwrap_or_else(|| name_of(code)));
        }
        if is_ours(code) {
            self.span.record("otel.status_code", "ERROR");
        }
    }
}

impl Drop for CallSpan {
    fn drop(&mut self) {
        if !self.ended {
            self.ended(Code::Cancelled, None);
        }
        // A span lasts until it was last entered.
        self.span.in_scope(|| ());
    }
}

/// Whether the span of a call that ends so is one of an error, by the conventions: the others are the caller's doing.
const fn is_ours(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown | Code::DeadlineExceeded | Code::Unimplemented | Code::Internal | Code::Unavailable | Code::DataLoss
    )
}

/// The span that a call is part of, where its head names one and only one. Of what else its caller says of the trace (`tracestate`) nothing
/// is read: it could be anything, and would be handed on.
fn parent_in(headers: &HeaderMap) -> Option<Context> {
    let mut named = headers.get_all(TRACEPARENT).iter();
    let (Some(value), None) = (named.next(), named.next()) else { return None };
    let text = value.to_str().ok().filter(|text| text.len() <= MAX_TRACEPARENT_BYTES)?;
    Some(TraceContextPropagator::new().extract_with_context(&Context::new(), &Traceparent(text)))
}

/// A head of which only the one field is seen.
struct Traceparent<'h>(&'h str);

impl Extractor for Traceparent<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == TRACEPARENT).then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}
