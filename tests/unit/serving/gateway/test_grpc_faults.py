import base64
from urllib.parse import quote

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo

from serving import errors
from serving.errors import InvalidInput, ModelServerFault, ModelServerUnreachable, ServingError, Violation
from serving.gateway import problems
from serving.gateway.grpc_faults import BUG, KINDS, fault_of

ERRORS = {cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, ServingError)}


def details(error: Exception, kind: type) -> list[object]:
    found = []
    for detail in fault_of(error).status().details:
        message = kind()
        if detail.Unpack(message):
            found.append(message)
    return found


def test_every_error_of_ours_has_its_code_and_the_http_doors_kind_as_its_reason():
    assert set(KINDS) == ERRORS - {ServingError}
    for error, kind in KINDS.items():
        assert kind.reason == problems.KINDS[error].slug.replace("-", "_").upper()
    assert problems.BUG.slug.replace("-", "_").upper() == BUG.reason


def test_an_invalid_input_lists_its_violations():
    error = InvalidInput((Violation("/top_k", "too large"), Violation("/instances", "missing")))

    assert fault_of(error).kind.code is grpc.StatusCode.INVALID_ARGUMENT
    assert fault_of(error).status().message == "2 of its values cannot be taken"
    [bad] = details(error, BadRequest)
    assert [(v.field, v.description) for v in bad.field_violations] == [
        ("/top_k", "too large"),
        ("/instances", "missing"),
    ]


LONG = "expected only " + ", ".join(f"größe_{number:03}" for number in range(200))


@pytest.mark.parametrize("count", [1, 20])
@pytest.mark.parametrize("text", [LONG, "ä" * 5000])
def test_however_many_and_long_the_violations_a_client_takes_the_fault(count, text):
    fault = fault_of(InvalidInput(tuple(Violation(f"/instances/{index}/rooms", text) for index in range(count))))

    trailer = base64.b64encode(fault.status().SerializeToString()) + quote(fault.message).encode()
    [bad] = details(InvalidInput((Violation("/instances/0/rooms", text),) * count), BadRequest)
    assert len(trailer) < 8000
    assert min(count, 5) <= len(bad.field_violations) <= count
    assert all(text.startswith(v.description.removesuffix("…")) for v in bad.field_violations)
    assert fault.message.startswith("20 of its values" if count == 20 else "/instances/0/rooms: ")


def test_violations_that_are_short_are_all_listed():
    violations = tuple(Violation(f"/instances/0/{index}", "expected a number, got null") for index in range(20))

    [bad] = details(InvalidInput(violations), BadRequest)

    assert [(v.field, v.description) for v in bad.field_violations] == [(v.pointer, v.detail) for v in violations]


def test_what_passes_says_when_to_try_again():
    [retry] = details(ModelServerUnreachable("away"), RetryInfo)

    assert retry.retry_delay.seconds == 1
    assert details(ModelServerFault("broken"), RetryInfo) == []


@pytest.mark.parametrize("error", [ModelServerFault("secret op name"), ZeroDivisionError("secret value")])
def test_what_the_caller_can_do_nothing_about_keeps_its_insides(error):
    status = fault_of(error).status()

    assert status.code == grpc.StatusCode.INTERNAL.value[0]
    assert "secret" not in str(status)
    assert len(details(error, ErrorInfo)) == 1
