//! Spans of calls, handed to an OpenTelemetry collector on this machine over gRPC (OTLP).
//!
//! Nobody waits for the collector: spans wait in a queue of bounded length, are lost where it is full or the collector does not take
//! them, and the log tells when that begins, when it is over and how many they were. Spans of this program's own target alone are
//! exported, hence none that a library makes; no event is attached to them. The environment adds nothing to what they say.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{SpanExporter as OtlpExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, Span, SpanData, SpanExporter, SpanProcessor,
};
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use super::{Collector, TelemetryError};
use crate::domain::limits::{MAX_QUEUED_SPANS, MAX_SPANS_PER_BATCH, TRACES_INTERVAL, TRACES_STOP_TIMEOUT, TRACES_TIMEOUT};
use crate::domain::spans;

/// What the spans are of, and what made them (OpenTelemetry's `service.name`, and the name of the scope).
const SERVICE: &str = "countermark";

/// The way to a collector. Clones are the same way.
#[derive(Clone)]
pub(super) struct Traces(SdkTracerProvider);

impl Traces {
    /// Reaches for the collector when there is a span to hand over, and not before.
    pub(super) fn to(collector: &Collector) -> Result<Self, TelemetryError> {
        let exporter = OtlpExporter::builder()
            .with_tonic()
            .with_endpoint(format!("http://{}", collector.address))
            .with_timeout(TRACES_TIMEOUT)
            .build()
            .map_err(|_| TelemetryError::Traces)?;
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(MAX_QUEUED_SPANS)
            .with_max_export_batch_size(MAX_SPANS_PER_BATCH)
            .with_scheduled_delay(TRACES_INTERVAL)
            .build();
        let queue = Arc::new(Queue::default());
        let exporter = Watched { exporter, queue: queue.clone() };
        let processor = Bounded { processor: BatchSpanProcessor::new(exporter, batches), queue };
        let attributes = [
            KeyValue::new("service.name", SERVICE),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("countermark.member", collector.member.clone()),
        ];
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_resource(Resource::builder_empty().with_attributes(attributes).build())
            // A client that says of a trace whether it is recorded has decided for what is done for it here, too.
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(1.0 / f64::from(collector.one_in.get())))))
            .build();
        Ok(Self(provider))
    }

    /// What takes the spans of this program's target, with what they say of themselves and nothing else.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer(SERVICE))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_context_activation(false)
            .with_filter(
                filter_fn(|metadata| metadata.is_span() && metadata.target() == spans::TARGET)
                    .with_max_level_hint(spans::LEVEL),
            )
    }

    /// See [`super::Telemetry::end_traces`].
    pub(super) async fn end(&self) {
        let provider = self.0.clone();
        let ended = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(TRACES_STOP_TIMEOUT)).await;
        if !matches!(ended, Ok(Ok(()))) {
            tracing::warn!(code = "TRACES_CUT_OFF", "the collector did not take the last spans in time, and they are lost");
        }
    }
}

/// Spans on their way.
#[derive(Debug, Default)]
struct Queue {
    /// Those that wait for their batch.
    waiting: AtomicUsize,
    /// Those that were lost since the collector last took any.
    lost: AtomicU64,
}

impl Queue {
    /// Whether there was room for one more.
    fn has_taken(&self) -> bool {
        let room = |waiting: usize| (waiting < MAX_QUEUED_SPANS).then_some(waiting + 1);
        self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).is_ok()
    }

    /// Whether these are the first.
    fn lose(&self, spans: usize) -> bool {
        self.lost.fetch_add(u64::try_from(spans).unwrap_or(u64::MAX), Ordering::Relaxed) == 0
    }
}

/// A processor whose queue is full only where this says so: the library loses what is too much without a word.
#[derive(Debug)]
struct Bounded {
    processor: BatchSpanProcessor,
    queue: Arc<Queue>,
}

impl SpanProcessor for Bounded {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.processor.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if self.queue.has_taken() {
            self.processor.on_end(span);
        } else if self.queue.lose(1) {
            tracing::warn!(
                code = "TRACES_TOO_MANY",
                "there are more spans than the collector takes, and some are lost; have fewer recorded with traces.one_in"
            );
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.processor.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.processor.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.processor.set_resource(resource);
    }
}

/// An exporter that tells the log when spans begin to be lost, and when they are taken again.
#[derive(Debug)]
struct Watched {
    exporter: OtlpExporter,
    queue: Arc<Queue>,
}

impl SpanExporter for Watched {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        self.queue.waiting.fetch_sub(spans, Ordering::Relaxed);
        let exported = self.exporter.export(batch).await;
        match &exported {
            Ok(()) => {
                let lost = self.queue.lost.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    tracing::info!(lost, "the collector takes spans again");
                }
            }
            Err(error) => {
                if self.queue.lose(spans) {
                    tracing::warn!(code = "TRACES_LOST", %error, "the collector does not take spans, which are lost until it does");
                }
            }
        }
        exported
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_is_told_once_until_there_is_room() {
        let queue = Queue::default();
        assert!((0..MAX_QUEUED_SPANS).all(|_| queue.has_taken()));
        assert!(!queue.has_taken() && queue.lose(1), "the first that is lost");
        assert!(!queue.has_taken() && !queue.lose(1), "told already");
        queue.waiting.fetch_sub(MAX_SPANS_PER_BATCH, Ordering::Relaxed);
        assert!(queue.has_taken());
        assert_eq!(queue.lost.load(Ordering::Relaxed), 2);
    }
}
