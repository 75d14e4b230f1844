"""Spans recorded and exported by OpenTelemetry, over OTLP/HTTP. The only module that imports it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import serving
from serving.gateway.spans import Attributes, Kind, Span
from serving.gateway.tracing import Header, passed_on

DEFAULT_SERVICE_NAME = "atelier-gateway"
KINDS: Mapping[Kind, trace.SpanKind] = {"internal": trace.SpanKind.INTERNAL, "client": trace.SpanKind.CLIENT}
PROPAGATOR = TraceContextTextMapPropagator()


class Recorded:
    """A Span of OpenTelemetry's."""

    def __init__(self, tracer: trace.Tracer, span: trace.Span) -> None:
        self._tracer, self._span = tracer, span

    @property
    def trace_id(self) -> str:
        """32 hex digits."""
        return trace.format_trace_id(self._span.get_span_context().trace_id)

    def carried(self) -> tuple[tuple[str, str], ...]:
        """The headers that name this span."""
        headers: dict[str, str] = {}
        PROPAGATOR.inject(headers, self._context())
        return tuple(headers.items())

    @contextmanager
    def child(self, name: str, kind: Kind) -> Iterator[Span]:
        """A piece of it; an error's message stays out, for it may hold what a client sent."""
        with recorded(self._tracer, name, self._context(), KINDS[kind]) as span:
            yield span

    def note(self, attributes: Attributes) -> None:
        """Attributes of the span."""
        self._span.set_attributes(attributes)

    def fail(self, reason: str) -> None:
        """It did not do what it should."""
        self._span.set_status(trace.StatusCode.ERROR, reason)

    def _context(self) -> otel_context.Context:
        return trace.set_span_in_context(self._span, otel_context.Context())


@contextmanager
def recorded(tracer: trace.Tracer, name: str, parent: otel_context.Context, kind: trace.SpanKind) -> Iterator[Recorded]:
    """A span from here to the end of the block, failed where an exception leaves it."""
    span = tracer.start_span(name, parent, kind)
    try:
        yield Recorded(tracer, span)
    except BaseException as error:
        span.set_status(trace.StatusCode.ERROR, type(error).__name__)
        raise
    finally:
        span.end()


class Exporting:
    """A Tracing that exports by OTLP/HTTP, in the background."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Endpoint, headers, sampler and resource are read by OpenTelemetry, from its own variables."""
        named = "OTEL_SERVICE_NAME" in environ or "service.name=" in environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
        name = {} if named else {SERVICE_NAME: DEFAULT_SERVICE_NAME}
        self._provider = TracerProvider(
            resource=Resource.create({**name, SERVICE_VERSION: serving.__version__}), shutdown_on_exit=False
        )
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("atelier", serving.__version__)

    @contextmanager
    def request(self, name: str, header: Header) -> Iterator[Span]:
        """The span of a request."""
        parent = PROPAGATOR.extract(dict(passed_on(header).carried()), otel_context.Context())
        with recorded(self._tracer, name, parent, trace.SpanKind.SERVER) as span:
            yield span

    def close(self) -> None:
        """Send what is not sent yet."""
        self._provider.shutdown()
