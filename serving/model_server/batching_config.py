"""BatchingParameters → what the scheduler and the runners need. After bundle_factory_util.cc."""

import os
from pathlib import Path

from serving.generated.atelier.serverconfig.v1 import server_config_pb2
from serving.model_server.batch_scheduler import QueueOptions, SharedBatchScheduler
from serving.model_server.batching_runner import BatchingOptions, BatchingRunner
from serving.model_server.flags import Flags
from serving.model_server.model_config import read_text_proto
from serving.model_server.servable import Runner
from serving.model_server.status import invalid_argument

_PER_MODEL_FILE = "batching_params.pbtxt"


class Batching:
    """What --enable_batching asks for: one pool of threads, and a way to wrap the runner of each version."""

    def __init__(self, flags: Flags) -> None:
        self._common = server_config_pb2.BatchingParameters()
        if flags.batching_parameters_file:
            read_text_proto(flags.batching_parameters_file, self._common)
        else:
            self._common.thread_pool_name.value = "model_server_batch_threads"
        self._is_per_model = flags.enable_per_model_batching_parameters
        threads = self._common.num_batch_threads.value or os.cpu_count() or 1
        self._scheduler = SharedBatchScheduler(threads)

    def wrap(self, runner: Runner, version: Path) -> Runner:
        """Batch the runs of a version; where each model has its own parameters, only of one that has some."""
        parameters = self._common
        if self._is_per_model:
            if not (version / _PER_MODEL_FILE).exists():
                return runner
            parameters = server_config_pb2.BatchingParameters()
            read_text_proto(str(version / _PER_MODEL_FILE), parameters)
        pool = self._common.thread_pool_name.value or "batch_threads"
        return BatchingRunner(runner, self._scheduler, batching_options(parameters, pool))


def batching_options(parameters: server_config_pb2.BatchingParameters, thread_pool_name: str) -> BatchingOptions:
    """Parameters that were set, and the scheduler's defaults for the others.

    Raises:
        StatusError: the last allowed batch size is not the largest batch.
    """
    defaults = QueueOptions()
    max_request_size = _set(parameters, "max_batch_size", defaults.max_batch_size)
    is_splitting = parameters.enable_large_batch_splitting.value
    max_batch_size = max_request_size
    if is_splitting:
        max_batch_size = _set(parameters, "max_execution_batch_size", max_request_size)
    allowed = tuple(parameters.allowed_batch_sizes)
    if allowed and allowed[-1] != max_batch_size:
        raise invalid_argument(
            f"Last entry in allowed_batch_sizes must match max_batch_size; last entry was {allowed[-1]}; expected "
            f"{max_batch_size}"
        )
    queue = QueueOptions(
        max_batch_size,
        _set(parameters, "batch_timeout_micros", 0) / 1e6,
        _set(parameters, "max_enqueued_batches", defaults.max_enqueued_batches),
    )
    return BatchingOptions(
        queue, max_request_size, allowed, parameters.pad_variable_length_inputs, is_splitting, thread_pool_name
    )


def _set(parameters: server_config_pb2.BatchingParameters, name: str, default: int) -> int:
    return int(getattr(parameters, name).value) if parameters.HasField(name) else default
