"""The end of the compose project: a second start trains nothing, stopping drops nothing. Runs after the others."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.containers.sample_inputs import SHOE
from tests.containers.waiting import wait_until

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1800)]


def test_a_second_up_trains_nothing(compose):
    compose("stop", "trainer")
    compose("up", "--detach", "--wait", "--no-build")
    said = compose("logs", "--no-log-prefix", "--tail", "2", "trainer")
    assert said.count("is published; nothing to train") == 2
    with compose.client() as client:
        assert {model["version"] for model in client.models()["models"]} == {"1"}


def test_stopping_drains(compose):
    """Whatever a gateway took on it answers, and every part ends by itself and well."""
    answers = []

    def call_until_it_is_gone(_):
        with compose.client() as client:
            while True:
                try:
                    answers.append(client.predict("fashion", SHOE * 64).predictions[0]["class_name"])
                except OSError:  # not taken on: the port is closed
                    return

    with ThreadPoolExecutor(4) as callers:
        calls = [callers.submit(call_until_it_is_gone, caller) for caller in range(4)]
        wait_until(lambda: len(answers) > 20)
        compose("stop")
        for call in calls:
            call.result(60)

    assert set(answers) == {"Ankle boot"}
    states = compose.states()
    assert {states[service] for service in ("gateway-http", "gateway-grpc", "model-server")} == {("exited", 0)}
