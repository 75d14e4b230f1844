"""The profile `load`: workers ask the gateways over both doors, and their master's exit code is the verdict."""

import pytest

from tests.containers.load_report import asked_and_failed

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1800)]

FEW = "--users 4 --spawn-rate 4 --run-time 10s"


@pytest.fixture
def judged(compose):
    """What a run of the load with these options ends with, and what it says."""

    def run(options):
        load = ("load", "load-worker")
        compose("up", "--detach", "--no-build", "--no-deps", "--force-recreate", *load, ATELIER_LOAD=options)
        return compose.exit_code("load"), compose("logs", "--no-color", "--no-log-prefix", "load")

    yield run
    compose("rm", "--force", "--stop", "load", "load-worker")


def test_two_workers_ask_over_both_doors_and_no_answer_is_wrong(judged):
    code, said = judged(FEW)
    assert "2 workers connected" in said
    asked, failed = asked_and_failed(said)
    assert asked > 50
    assert failed == 0
    assert code == (1 if "MISSED" in said else 0), said  # how fast it was is not this test's to judge


def test_a_missed_objective_is_the_exit_code(judged):
    code, said = judged(f"{FEW} --grpc-address nobody.invalid:8081")
    assert asked_and_failed(said)[1] > 0
    assert "MISSED" in said
    assert code == 1
