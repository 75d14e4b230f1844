"""Predict at the gRPC door, from the bytes of a request to those of its reply: the call whose speed matters.

No thread waits for a batch: the batch's own thread answers.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack

from google.protobuf.message import DecodeError
from tensorflow_serving.apis import predict_pb2

from serving.direct_method import Call
from serving.model_server import metrics
from serving.model_server.batching_runner import BatchingRunner
from serving.model_server.grpc_api import need_model_spec, status_details
from serving.model_server.predict import Step, predict_response, prepare_request
from serving.model_server.servable import Servable
from serving.model_server.server_core import ServerCore
from serving.model_server.status import Code, StatusError
from serving.model_server.tensors import Array

PREDICT_PATH = "/tensorflow.serving.PredictionService/Predict"

_FOREVER_S = 365 * 24 * 3600.0  # gRPC gives "for ever" as centuries


class PredictMethod:
    """Answers calls of Predict."""

    def __init__(self, core: ServerCore, *, as_content: bool) -> None:
        self._core = core
        self._as_content = as_content

    def answer(self, call: Call) -> None:
        """Run a signature on tensors."""
        try:
            request = predict_pb2.PredictRequest.FromString(call.request)
        except DecodeError:
            call.fail(Code.INTERNAL, "Exception deserializing request!")
        else:
            _PredictCall(call, request, as_content=self._as_content).begin(self._core)


class _PredictCall:
    """One call, from its request to its reply. The servable is on loan in between."""

    def __init__(self, call: Call, request: predict_pb2.PredictRequest, *, as_content: bool) -> None:
        self._call = call
        self._request = request
        self._as_content = as_content
        self._loan = ExitStack()
        self._start_s = time.perf_counter()

    def begin(self, core: ServerCore) -> None:
        """Check the request, and run it or have it run."""
        try:
            need_model_spec(self._request)
            servable = self._loan.enter_context(core.handle(self._request.model_spec))
            step = prepare_request(servable, self._request)
            runner, timeout_s = servable.runner, self._timeout_s()
            run_start_s = time.perf_counter()
            if isinstance(runner, BatchingRunner):
                run = runner.submit(step.feeds, step.fetches, timeout_s)
                run.add_done_callback(lambda: self._finish(servable, step, run.result, run_start_s))
                return
        except Exception as error:  # noqa: BLE001 (the client is told)
            self._fail(error)
        else:
            self._finish(servable, step, lambda: runner.run(step.feeds, step.fetches, timeout_s), run_start_s)

    def _finish(self, servable: Servable, step: Step, run: Callable[[], list[Array]], run_start_s: float) -> None:
        """Reply with what the run gives."""
        try:
            prediction = step.prediction(run())
            metrics.record_run(servable.id.name, "Predict", run_start_s)
            model = self._request.model_spec.name
            response = predict_response(servable, model, prediction, as_content=self._as_content)
            reply = response.SerializeToString()
        except Exception as error:  # noqa: BLE001 (the client is told)
            self._fail(error)
        else:
            self._end(Code.OK)
            self._call.reply(reply)

    def _fail(self, error: Exception) -> None:
        if isinstance(error, StatusError):
            self._end(error.code)
            self._call.fail(error.code, status_details(error))
        else:
            self._end(Code.INTERNAL)
            self._call.fail_unforeseen(error)

    def _end(self, code: Code) -> None:
        """Give back and count before the client hears: it may ask for the metrics next."""
        self._loan.close()
        metrics.record_request(self._request.model_spec.name, "Predict", "GRPC", code, self._start_s)

    def _timeout_s(self) -> float | None:
        remaining_s = self._call.time_remaining_s()
        return None if remaining_s > _FOREVER_S else remaining_s
