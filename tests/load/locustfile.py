"""Users of the gateway: one instance or a batch over HTTP, one instance over gRPC. Wrong answers are failures.

`make load`, or by hand: `locust -f tests/load/locustfile.py --host http://127.0.0.1:8080` (and `--grpc-address`).
"""

import random
import time
from typing import Any

import grpc.experimental.gevent
from locust import FastHttpUser, User, constant_throughput, events, task
from locust.env import Environment

from serving.client import Client, ProblemError
from tests.load.objectives import Measured, misses, table
from tests.load.questions import Question, questions

grpc.experimental.gevent.init_gevent()

BATCH = 32
ASKED: dict[str, list[Question]] = {}  # by model, filled when a run starts


@events.init_command_line_parser.add_listener
def add_options(parser: Any) -> None:
    parser.add_argument("--grpc-address", default="127.0.0.1:8081", help="the gRPC door, host:port")


@events.test_start.add_listener
def learn(environment: Environment, **_: Any) -> None:
    ASKED.update(questions(environment.host or ""))


@events.quitting.add_listener
def judge(environment: Environment, **_: Any) -> None:
    """Set the exit code by the objectives."""
    measured = [
        Measured(
            entry.name,
            entry.num_requests,
            entry.num_failures,
            entry.get_response_time_percentile(0.95) or 0,
            entry.get_response_time_percentile(0.99) or 0,
        )
        for entry in environment.stats.entries.values()
    ]
    print(table(measured))
    missed = misses(measured)
    print("\n".join(f"MISSED  {line}" for line in missed) or "every objective is met")
    environment.process_exit_code = 1 if missed else 0


class HttpCaller(FastHttpUser):
    """Ten requests a second, most of them for one instance."""

    wait_time = constant_throughput(10)
    weight = 2

    @task(9)
    def single(self) -> None:
        self._ask("http single", random.choice(ASKED[random.choice(list(ASKED))]), 1)

    @task(1)
    def batch(self) -> None:
        self._ask("http batch", random.choice(ASKED[random.choice(list(ASKED))]), BATCH)

    def _ask(self, name: str, question: Question, rows: int) -> None:
        body = {"instances": [question.instance] * rows}
        path = f"/v1/models/{question.model}:predict"
        with self.client.post(path, json=body, name=name, catch_response=True) as response:
            if response.status_code != 200:
                response.failure(f"{response.status_code}")
                return
            predictions = response.json()["predictions"]
            faults = {fault for prediction in predictions if (fault := question.fault(prediction))}
            if faults or len(predictions) != rows:
                response.failure(f"a wrong answer: {faults or len(predictions)}")


class GrpcCaller(User):
    """Ten calls a second."""

    wait_time = constant_throughput(10)
    weight = 1

    def on_start(self) -> None:
        self._client = Client(f"grpc://{self.environment.parsed_options.grpc_address}")

    def on_stop(self) -> None:
        self._client.close()

    @task
    def single(self) -> None:
        question = random.choice(ASKED[random.choice(list(ASKED))])
        began = time.perf_counter()
        failure: Exception | None = None
        try:
            [prediction] = self._client.predict(question.model, [question.instance]).predictions
            if fault := question.fault(dict(prediction)):
                failure = AssertionError(f"a wrong answer: {fault}")
        except (ProblemError, OSError) as error:
            failure = error
        self.environment.events.request.fire(
            request_type="gRPC",
            name="grpc single",
            response_time=(time.perf_counter() - began) * 1000,
            response_length=0,
            exception=failure,
        )
