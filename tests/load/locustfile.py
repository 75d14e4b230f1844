"""Users of the gateway, over HTTP and gRPC, who check every answer. A wrong one is a failure.

`make load`, or by hand: `locust -f tests/load/locustfile.py --host http://127.0.0.1:8080` (and `--grpc-address`).
With `--master` and `--worker` it runs on many machines; the master judges.
"""

import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gevent
import gevent.pool
import grpc.experimental.gevent
from locust import FastHttpUser, LoadTestShape, User, events, task
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from serving.client import Client, ProblemError
from tests.load import objectives, options
from tests.load.asks import Ask, draw, prepare
from tests.load.questions import served_models
from tests.load.shapes import DEFAULT_RUN_S, LEVELS, users_at

grpc.experimental.gevent.init_gevent()

ASKS: dict[str, Sequence[Ask]] = {}  # by task, filled when a run starts
DRAIN_S = 15  # for what is under way when a user stops: longer than the gateway takes for anything


@events.init_command_line_parser.add_listener
def add_options(parser: Any) -> None:
    """Ours, and time for users who stop: Locust's own default cuts them off in the middle of a call, uncounted."""
    options.add_to(parser)
    parser.set_defaults(stop_timeout=DRAIN_S)


@events.init.add_listener
def get_ready(environment: Environment, **_: Any) -> None:
    asked = environment.parsed_options
    if asked.shape and not isinstance(environment.runner, WorkerRunner):
        run_s, users = asked.run_time or DEFAULT_RUN_S, asked.num_users or 1
        environment.shape_class = Shape(asked.shape, users, run_s, asked.spawn_rate or users)
        environment.shape_class.runner = environment.runner
    if environment.host and not isinstance(environment.runner, WorkerRunner):
        learn(environment)  # now, so that it takes nothing of the run's time


@events.test_start.add_listener
def learn(environment: Environment, **_: Any) -> None:
    """A worker hears only now from its master where the gateway is."""
    if not ASKS and not isinstance(environment.runner, MasterRunner):  # which asks nothing itself
        api_key = environment.parsed_options.api_key or None
        ASKS.update(prepare(served_models(environment.host or "", api_key)))


@events.quitting.add_listener
def judge(environment: Environment, **_: Any) -> None:
    """Set the exit code by the objectives."""
    if isinstance(environment.runner, WorkerRunner):
        return
    must = objectives.read(Path(environment.parsed_options.objectives))
    measured = [
        objectives.Measured(
            entry.name,
            entry.num_requests,
            entry.num_failures,
            entry.get_response_time_percentile(0.95) or 0,
            entry.get_response_time_percentile(0.99) or 0,
        )
        for entry in environment.stats.entries.values()
    ]
    missed = objectives.misses(must, measured)
    print(objectives.table(must, measured))
    print("\n".join(f"MISSED  {line}" for line in missed) or "every objective is met")
    environment.process_exit_code = 1 if missed else 0


class Shape(LoadTestShape):
    """One of `tests.load.shapes`."""

    abstract = True  # chosen by --shape; else Locust would take it for every run

    def __init__(self, name: str, users: int, run_s: float, spawn_rate: float) -> None:
        super().__init__()
        self._levels, self._users, self._run_s, self._spawn_rate = LEVELS[name], users, run_s, spawn_rate

    def tick(self) -> tuple[int, float] | None:
        """What Locust asks every second."""
        users = users_at(self._levels, self.get_run_time() / self._run_s, self._users)
        return None if users is None else (users, self._spawn_rate)


class Caller(User):
    """Asks about `--rate` times a second.

    Closed loop: waits for its answer, so a slow service is asked less. Open loop: the next request comes when it is due
    (gaps are exponential, as with many who know nothing of each other), and latency counts from then.
    """

    abstract = True
    weights: Mapping[str, int]  # of its tasks

    def on_start(self) -> None:
        self._options = self.environment.parsed_options
        self._under_way = gevent.pool.Group()
        self._due_s = time.perf_counter()

    def on_stop(self) -> None:
        self._under_way.join(timeout=DRAIN_S)

    def wait_time(self) -> float:
        gap_s = 1 / self._options.rate
        self._due_s += random.expovariate(1 / gap_s) if self._is_open else gap_s
        now_s = time.perf_counter()
        if not self._is_open:
            self._due_s = max(self._due_s, now_s)  # what was not asked in time is not made up for
        return max(0.0, self._due_s - now_s)

    @task
    def turn(self) -> None:
        name, ask = draw(ASKS, self.weights)
        if self._is_open:
            self._under_way.spawn(self.ask, name, ask, self._due_s)
        else:
            self.ask(name, ask, time.perf_counter())

    def ask(self, name: str, ask: Ask, due_s: float) -> None:
        """Send it, check the answer, report both."""
        raise NotImplementedError

    @property
    def _is_open(self) -> bool:
        return bool(self._options.loop == "open")


class HttpCaller(Caller, FastHttpUser):
    """Most ask for one instance, as JSON."""

    weight = 2
    weights: Mapping[str, int] = {"http json 1": 12, "http png 1": 3, "http json 32": 2, "http octets 32": 2}
    concurrency = 100  # connections of an open loop

    def ask(self, name: str, ask: Ask, due_s: float) -> None:
        path, headers = f"/v1/models/{ask.model}:predict", {"Content-Type": ask.content_type}
        if self._options.api_key:
            headers["X-API-Key"] = self._options.api_key
        with self.client.post(path, data=ask.body, headers=headers, name=name, catch_response=True) as response:
            response.request_meta["response_time"] = (time.perf_counter() - due_s) * 1000
            if response.status_code != 200:
                response.failure(f"status {response.status_code}")
            elif fault := ask.fault(response.json()["predictions"]):
                response.failure(f"a wrong answer: {fault}")


class GrpcCaller(Caller):
    """Most ask for one instance."""

    weight = 1
    weights: Mapping[str, int] = {"grpc 1": 9, "grpc 32": 1}

    def on_start(self) -> None:
        super().on_start()
        self._client = Client(f"grpc://{self._options.grpc_address}", api_key=self._options.api_key or None)

    def on_stop(self) -> None:
        super().on_stop()
        self._client.close()

    def ask(self, name: str, ask: Ask, due_s: float) -> None:
        failure: Exception | None = None
        try:
            predictions = self._client.predict(ask.model, ask.instances).predictions
            took_s = time.perf_counter() - due_s
            if fault := ask.fault([dict(one) for one in predictions]):
                failure = AssertionError(f"a wrong answer: {fault}")
        except (ProblemError, OSError) as error:
            took_s, failure = time.perf_counter() - due_s, error
        self.environment.events.request.fire(
            request_type="gRPC", name=name, response_time=took_s * 1000, response_length=0, exception=failure
        )
