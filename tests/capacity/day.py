"""A day of traffic for the HTTP door: autoscaling, a crowd, a node that dies, a rolling update. Steps of 15 seconds."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.capacity.autoscaling import SYNC_S, Autoscaler, Policy

DAY_S = 24 * 3600
HOUR_S = 3600
# Kubernetes' defaults: a node that says nothing is taken for dead after 40 s (node-monitor-grace-period); until then it
# is sent requests. Its pods are replaced when they have been unreachable for 300 s more (tolerationSeconds).
NOTICED_S, EVICTED_S = 40, 340
CROWD_AT_S, CROWD_S, CROWD_FACTOR = 20 * HOUR_S, 600, 2.0
NODE_DIES_AT_S = 14 * HOUR_S


@dataclass(frozen=True)
class World:
    """What the day happens to."""

    peak_rate: float  # requests a second at the height of an ordinary day
    request_s: float  # processor time of the door
    start_s: float  # from the autoscaler's word to a pod that is ready
    lost_share: float  # of the pods, on the node that dies


@dataclass
class Day:
    """What came of it."""

    requests: float = 0.0
    refused: float = 0.0  # more than there was room for: 503 at once, with Retry-After
    failed: float = 0.0  # sent to a node that was dead
    pod_hours: float = 0.0
    most: int = 0
    least: int = 10**9
    busiest: float = 0.0  # utilisation
    by_hour: list[tuple[int, float, int]] = field(default_factory=list)  # hour, requests a second, replicas


def traffic(peak_rate: float) -> Callable[[float], float]:
    """Least at four in the morning, most at four in the afternoon, and a crowd at eight in the evening."""

    def rate(at_s: float) -> float:
        ordinary = peak_rate * (0.6 - 0.4 * math.cos(2 * math.pi * (at_s / DAY_S - 4 / 24)))
        return ordinary * (CROWD_FACTOR if CROWD_AT_S <= at_s < CROWD_AT_S + CROWD_S else 1.0)

    return rate


def simulate(world: World, policy: Policy) -> Day:
    """The day, of pods with one processor each."""
    rate_at, scaler, day = traffic(world.peak_rate), Autoscaler(policy), Day()
    ready = max(policy.least, math.ceil(rate_at(0) * world.request_s / policy.target))
    starting: list[float] = []  # when each is ready
    dead, gone_at_s = 0, math.inf
    for at_s in range(0, DAY_S, SYNC_S):
        ready += sum(one <= at_s for one in starting)
        starting = [one for one in starting if one > at_s]
        if at_s == NODE_DIES_AT_S:
            dead, gone_at_s = max(1, math.floor(ready * world.lost_share)), at_s + EVICTED_S
            ready -= dead
        rate, is_unnoticed = rate_at(at_s), NODE_DIES_AT_S <= at_s < NODE_DIES_AT_S + NOTICED_S
        failing = rate * dead / (ready + dead) if is_unnoticed else 0.0
        load = (rate - failing) * world.request_s / ready
        _add(day, rate, failing, load, ready)
        if at_s % HOUR_S == 0:
            day.by_hour.append((at_s // HOUR_S, rate, ready))
        if at_s >= gone_at_s:  # they count as replicas until they are evicted
            starting += [at_s + world.start_s] * dead
            dead, gone_at_s = 0, math.inf
        wanted = scaler.replicas(at_s, ready + len(starting) + dead, min(load, 1.0) * ready / (ready + len(starting)))
        change = wanted - ready - len(starting) - dead
        starting += [at_s + world.start_s] * max(0, change)
        ready += min(0, change)
    return day


def _add(day: Day, rate: float, failing: float, load: float, ready: int) -> None:
    day.requests += rate * SYNC_S
    day.failed += failing * SYNC_S
    day.refused += (rate - failing) * max(0.0, 1 - 1 / load) * SYNC_S
    day.pod_hours += ready * SYNC_S / HOUR_S
    day.most, day.least, day.busiest = max(day.most, ready), min(day.least, ready), max(day.busiest, load)


def rolling_update_s(replicas: int, surge: int, start_s: float, min_ready_s: float) -> float:
    """How long an update takes that never has fewer than all of them ready (maxUnavailable: 0)."""
    return math.ceil(replicas / surge) * (start_s + min_ready_s)
