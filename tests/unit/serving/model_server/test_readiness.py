"""What /readyz says of the states that the monitor knows."""

from serving.model_server.readiness import describe, summary
from serving.model_server.state_monitor import ManagerState, ServableState
from serving.model_server.status import Code, StatusError


def known(state: ManagerState, error: StatusError | None = None) -> ServableState:
    return ServableState(state, error, event=1)


def test_a_model_is_ready_when_one_version_is_available() -> None:
    failed = known(ManagerState.END, StatusError(Code.NOT_FOUND, "no such file"))
    assert describe({3: failed, 2: known(ManagerState.AVAILABLE)}) == {
        "ready": True,
        "versions": {"3": {"state": "END", "error": "NOT_FOUND: no such file"}, "2": {"state": "AVAILABLE"}},
    }


def test_a_model_without_an_available_version_is_not_ready() -> None:
    for state in set(ManagerState) - {ManagerState.AVAILABLE}:
        assert not describe({1: known(state)})["ready"]
    assert not describe({})["ready"]


def test_all_models_must_be_ready() -> None:
    assert summary({"a": {"ready": True}, "b": {"ready": True}}, is_stopping=False)["ready"]
    assert not summary({"a": {"ready": True}, "b": {"ready": False}}, is_stopping=False)["ready"]


def test_a_server_that_stops_is_not_ready() -> None:
    assert not summary({"a": {"ready": True}}, is_stopping=True)["ready"]
