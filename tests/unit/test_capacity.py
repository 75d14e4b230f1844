"""The capacity model's pieces against theory, the documentation's rule, and by hand."""

import json
import math
import random
import statistics
from pathlib import Path

import pytest

from tests.bench.goals import OURS
from tests.capacity import autoscaling
from tests.capacity.__main__ import BEGIN, END, main, replaced
from tests.capacity.autoscaling import Autoscaler, Policy
from tests.capacity.checked import predict
from tests.capacity.costs import Cost, Seen, Way, line
from tests.capacity.day import EVICTED_S, NOTICED_S, World, rolling_update_s, simulate, traffic
from tests.capacity.queueing import Network, Visit, erlang_c, gamma, percentile
from tests.capacity.sizing import by_load, limits, size

JOBS = 100_000
SERVICE_S = 0.01
WAY = Way("json", Cost(0.0004, 0.0001), Cost(0.0002, 0.00005), Cost(100, 2000))
POLICY = Policy(2, 20, 0.65, 100, 15, 20, 60, 300)


def waits(servers: int, load: float, variation: float) -> list[float]:
    """Seconds in a queue of this many servers, each busy this share of the time; the start does not count."""
    chance = random.Random(7)
    network = Network({"s": servers})
    rate = load * servers / SERVICE_S
    return network.open_loop([Visit("s", SERVICE_S)], rate, JOBS, gamma(chance, variation), chance)[JOBS // 10 :]


def test_one_server_waits_as_theory_says_of_exponential_times():
    """M/M/1: the mean time in the system is 1 / (service rate - arrival rate)."""
    assert statistics.mean(waits(1, 0.7, 1.0)) == pytest.approx(SERVICE_S / 0.3, rel=0.05)


def test_one_server_waits_as_pollaczek_and_khinchine_say_of_steadier_times():
    """M/G/1: the wait is (1 + c²) / 2 of that of M/M/1."""
    waiting_s = SERVICE_S * 0.7 / 0.3 * (1 + 0.5**2) / 2
    assert statistics.mean(waits(1, 0.7, 0.5)) == pytest.approx(SERVICE_S + waiting_s, rel=0.05)


def test_many_servers_wait_as_erlang_says():
    """M/M/c: the mean wait is C / (c · service rate - arrival rate)."""
    waiting_s = erlang_c(4, 4 * 0.8) * SERVICE_S / (4 * 0.2)
    assert statistics.mean(waits(4, 0.8, 1.0)) == pytest.approx(SERVICE_S + waiting_s, rel=0.05)


def test_the_tail_of_one_server_is_exponential():
    assert percentile(waits(1, 0.7, 1.0), 0.99) == pytest.approx(math.log(100) * SERVICE_S / 0.3, rel=0.1)


def test_erlang_c_of_one_server_is_its_load():
    assert erlang_c(1, 0.3) == pytest.approx(0.3)


def test_more_callers_than_processors_get_what_the_processors_can_do():
    costs = Seen(0, 0, 0, door_s=0.001, model_server_s=0.0005, generator_s=0.0005)
    rate, p50_s, _ = predict(costs, doors=2, callers=16, processors=2)
    assert rate == pytest.approx(2 / 0.002, rel=0.05)
    assert p50_s == pytest.approx(16 / rate, rel=0.1)  # Little's law


def test_one_door_is_the_limit_where_it_computes_most():
    costs = Seen(0, 0, 0, door_s=0.001, model_server_s=0.0001, generator_s=0.0001)
    rate, _, _ = predict(costs, doors=1, callers=16, processors=2)
    assert rate == pytest.approx(1000, rel=0.05)


def test_a_lone_caller_waits_for_the_work_alone():
    costs = Seen(0, 0, 0, door_s=0.001, model_server_s=0.0005, generator_s=0.0005)
    rate, p50_s, _ = predict(costs, doors=2, callers=1, processors=2)
    assert (rate, p50_s) == (pytest.approx(500, rel=0.05), pytest.approx(0.002, rel=0.1))


def test_a_cost_is_a_line_through_one_instance_and_a_batch():
    cost = line(1.0, 1.0 + 31 * 0.5)
    assert (cost.request_s, cost.instance_s) == (0.5, 0.5)
    assert cost.of(10) == 5.5


def test_our_manifest_is_read_as_it_stands():
    assert autoscaling.policy("gateway-http", Path(autoscaling.MANIFEST)) == POLICY


def test_the_autoscaler_wants_what_brings_the_target_back():
    assert Autoscaler(POLICY).replicas(0, 4, 0.9) == 6  # 4 × 0.9 / 0.65 = 5.5


def test_the_autoscaler_leaves_alone_what_is_near_the_target():
    assert Autoscaler(POLICY).replicas(0, 10, 0.65 * 1.09) == 10


def test_the_autoscaler_at_most_doubles_in_a_period_and_stops_at_the_most():
    scaler = Autoscaler(POLICY)
    assert [scaler.replicas(0, 3, 9.0), scaler.replicas(15, 6, 9.0), scaler.replicas(30, 12, 9.0)] == [6, 12, 20]


def test_the_autoscaler_waits_before_it_takes_replicas_away_and_then_goes_slowly():
    scaler = Autoscaler(POLICY)
    replicas, seen = 10, []
    scaler.replicas(0, replicas, 0.65)
    for now_s in range(15, 420, 15):
        replicas = scaler.replicas(now_s, replicas, 0.1)
        seen.append(replicas)
    assert seen[:19] == [10] * 19  # 300 s
    assert seen[20:24] == [8] * 4  # a fifth, and no more for a minute


def test_a_million_requests_a_second_take_ten_thousand_times_what_a_hundred_take():
    few, many = (size(WAY, rate, 1, 0.65) for rate in (10_000, 1_000_000))
    assert many.doors / few.doors == pytest.approx(100, rel=0.2)
    assert many.dollars_a_million == pytest.approx(few.dollars_a_million, rel=0.2)
    assert many.p99_s == pytest.approx(few.p99_s, rel=0.2)  # as busy, so as quick


def test_a_small_load_has_two_of_everything():
    assert (size(WAY, 1, 1, 0.65).doors, size(WAY, 1, 1, 0.65).model_servers) == (2, 2)


def test_one_worker_gives_before_all_else():
    found = by_load(limits(WAY, 1, POLICY, 8, 2))
    assert found[0].rate == pytest.approx(1 / 0.0005)
    assert "interpreter lock" in found[0].what


def test_a_day_with_room_refuses_only_what_the_crowd_brings_before_there_are_more_pods():
    seen = simulate(World(10_000, 0.0005, 15, 0.1), Policy(2, 10_000, 0.65, 100, 15, 20, 60, 300))
    assert 0 <= seen.refused / seen.requests < 0.001
    assert seen.least < seen.most


def test_a_day_with_too_few_replicas_refuses_for_hours():
    seen = simulate(World(2 * 20 * 0.65 / 0.0005, 0.0005, 15, 0.25), POLICY)
    assert seen.most <= 20
    assert seen.refused / seen.requests > 0.05


def test_a_dead_node_fails_its_share_until_it_is_noticed_and_no_longer():
    policy = Policy(10, 10, 0.65, 100, 15, 20, 60, 300)
    seen = simulate(World(1000, 0.0001, 15, 0.5), policy)
    rate = traffic(1000)(14 * 3600)
    assert seen.failed == pytest.approx(rate * 0.5 * math.ceil(NOTICED_S / 15) * 15, rel=0.05)
    assert seen.pod_hours == pytest.approx(240 - 5 * (EVICTED_S + 15) / 3600, rel=0.01)


def test_traffic_is_least_at_four_in_the_morning_and_most_twelve_hours_later():
    rate = traffic(100)
    assert (rate(4 * 3600), rate(16 * 3600)) == (pytest.approx(20), pytest.approx(100))


def test_a_rolling_update_goes_pod_by_pod_unless_it_may_surge():
    assert rolling_update_s(100, 1, 15, 5) == 2000
    assert rolling_update_s(100, 25, 15, 5) == 80


def test_figures_replace_what_is_between_the_marks_and_nothing_else():
    text = replaced(f"a\n{BEGIN}\nold\n{END}\nb", "new")
    assert text == f"a\n{BEGIN}\n\nnew\n\n{END}\nb"
    with pytest.raises(ValueError, match="expected the marks"):
        replaced("no marks", "new")


def test_a_benchmark_becomes_figures_in_the_document(tmp_path: Path):
    """With costs by hand: 1 ms at the door, half of it at the model server, for one image."""
    cpu = {"HTTP door": 0.001, "model server": 0.0005, "generator": 0.0001}
    many = {"HTTP door": 0.0041, "model server": 0.0036, "generator": 0.0001}
    cells = [
        {
            "side": OURS,
            "case": case,
            "callers": 16,
            "rounds": [{"rate": rate, "p50_s": 0.01, "p99_s": 0.02, "cpu_s": took}],
        }
        for case, rate, took in (("json 1", 1250, cpu), ("json 32", 250, many))
    ]
    report, document = tmp_path / "report.json", tmp_path / "capacity.md"
    machine = {"revision": "r", "processors": "p", "rounds": "5 of 2 s"}
    sizes = {"json 1": {"body_bytes": 2000}, "json 32": {"body_bytes": 64000}}
    report.write_text(json.dumps({"cells": cells, "machine": machine, "cases": sizes}))
    document.write_text(f"before\n{BEGIN}\n{END}\nafter\n")
    main(["--report", str(report), "--write", str(document)])
    text = document.read_text()
    assert "| json | 0.900 | 0.100 | 0.400 | 0.100 |" in text
    assert "| 1,000,000 | 1539 | 770 | 161 |" in text
    assert text.startswith("before")
    assert text.endswith("after\n")


def test_a_report_without_the_cases_it_needs_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    report = tmp_path / "report.json"
    report.write_text(json.dumps({"cells": []}))
    with pytest.raises(SystemExit):
        main(["--report", str(report)])
    assert "lacks `json 1` or `json 32` at 16 callers" in capsys.readouterr().err
