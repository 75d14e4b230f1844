import pytest

from serving.gateway import spans
from serving.gateway.tracing import PassingOn, is_wanted, passed_on

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"


def test_a_clients_trace_is_carried_on_as_it_came():
    headers = {"traceparent": TRACEPARENT, "tracestate": "a=1,b=2"}

    span = passed_on(headers.get)

    assert span.trace_id == TRACE
    assert dict(span.carried()) == headers


@pytest.mark.parametrize(
    "traceparent",
    [
        None,
        "",
        "nonsense",
        TRACEPARENT.upper(),
        TRACEPARENT + "-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"{TRACEPARENT}\nx",
    ],
)
def test_what_is_no_trace_is_dropped_with_its_state(traceparent):
    span = passed_on({"traceparent": traceparent, "tracestate": "a=1"}.get)

    assert (span.trace_id, span.carried()) == ("", ())


def test_a_later_version_may_say_more():
    assert passed_on({"traceparent": f"01-{TRACE}-{SPAN}-01-more"}.get).trace_id == TRACE


@pytest.mark.parametrize("tracestate", ["", "a" * 513, "ä=1", "a=\x00"])
def test_a_state_that_nobody_must_pass_on_is_dropped_alone(tracestate):
    carried = passed_on({"traceparent": TRACEPARENT, "tracestate": tracestate}.get).carried()

    assert carried == (("traceparent", TRACEPARENT),)


def test_the_current_span_is_the_innermost_and_the_last_one_again_after():
    with PassingOn().request("outer", {"traceparent": TRACEPARENT}.get) as span, spans.inside(span):
        with spans.child("inner", "client") as inner:
            assert spans.current() is inner
            assert inner.trace_id == TRACE
        assert spans.current() is span
    assert spans.current().trace_id == ""


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SDK_DISABLED": "TRUE"}, False),
    ],
)
def test_spans_are_exported_where_the_standard_variables_say_so(environ, wanted):
    assert is_wanted(environ) is wanted
