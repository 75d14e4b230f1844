"""How many pods, nodes and dollars a load takes, how quick answers are, and which limit comes first."""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

from tests.capacity.autoscaling import Policy
from tests.capacity.costs import Way
from tests.capacity.queueing import Network, Visit, gamma, percentile

# Assumptions: put your own.
NODE_PROCESSORS = 16
NODE_SPARE = 0.1  # of a node, for the system
DOLLARS_A_PROCESSOR_HOUR = 0.04  # on demand, large clouds, general purpose
NETWORK_BYTES_S = 10e9 / 8  # of one load balancer
LEAST_PODS = 2  # so that one may be away
VARIATION = 1.0  # of service times: as if exponential, which is more than was seen
JOBS = 10_000


@dataclass(frozen=True)
class Size:
    """What a load takes."""

    rate: float
    doors: int
    model_servers: int
    p50_s: float
    p99_s: float

    @property
    def nodes(self) -> int:
        return math.ceil((self.doors + self.model_servers) / (NODE_PROCESSORS * (1 - NODE_SPARE)))

    @property
    def dollars_an_hour(self) -> float:
        return self.nodes * NODE_PROCESSORS * DOLLARS_A_PROCESSOR_HOUR

    @property
    def dollars_a_million(self) -> float:
        return self.dollars_an_hour / (self.rate * 3600) * 1e6


def size(way: Way, rate: float, instances: int, target: float, seed: int = 1) -> Size:
    """Pods of one processor each, of which `target` is used."""
    door_s, model_server_s = way.door.of(instances), way.model_server.of(instances)
    doors, model_servers = (max(LEAST_PODS, math.ceil(rate * one / target)) for one in (door_s, model_server_s))
    latencies = latencies_of((door_s, rate / doors), (model_server_s, rate / model_servers), seed)
    return Size(rate, doors, model_servers, percentile(latencies, 0.5), percentile(latencies, 0.99))


def latencies_of(door: tuple[float, float], model_server: tuple[float, float], seed: int) -> list[float]:
    """Two queues one after the other, each (service time, arrivals a second) of one pod; callers are spread at random.

    Spread over many pods at random, arrivals at each are random too, whatever the number of pods.
    """
    chance = random.Random(seed)
    ways = []
    for service_s, rate in (door, model_server):
        network = Network({"pod": 1})
        ways.append(network.open_loop([Visit("pod", service_s)], rate, JOBS, gamma(chance, VARIATION), chance))
    return [a + b for a, b in zip(*ways, strict=True)]


@dataclass(frozen=True)
class Limit:
    """A load above which something must change."""

    rate: float
    what: str
    then: str


def limits(
    way: Way, instances: int, policy: Policy, most_model_servers: int, machine_processors: int
) -> Iterator[Limit]:
    """All that we know of."""
    door_s, model_server_s = way.door.of(instances), way.model_server.of(instances)
    yield Limit(
        1 / door_s,
        "one worker process: its interpreter lock lets one thread compute",
        "`ATELIER_WORKERS`: one a core, the default",
    )
    yield Limit(
        machine_processors / (door_s + model_server_s),
        f"one machine of {machine_processors} processors, with the model server on it",
        "doors and model servers on machines of their own: Kubernetes",
    )
    yield Limit(
        policy.most * policy.target / door_s,
        f"the autoscaler's `maxReplicas: {policy.most}` at {policy.target:.0%} of a processor a pod",
        "raise it (`k8s/components/autoscaling`), and the cluster's node pool with it",
    )
    yield Limit(
        most_model_servers * policy.target / model_server_s,
        f"KEDA's `maxReplicaCount: {most_model_servers}` model servers of one processor each",
        "raise it, give each more processors, or put them on GPUs (`k8s/components/gpu`)",
    )
    yield Limit(
        NETWORK_BYTES_S / way.body_bytes.of(instances),
        "10 Gbit/s into one load balancer, by the size of the bodies",
        "bytes instead of JSON, or several load balancers (DNS, anycast)",
    )


def by_load(some: Iterator[Limit]) -> list[Limit]:
    return sorted(some, key=lambda one: one.rate)
