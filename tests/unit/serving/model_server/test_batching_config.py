"""Which parameters a version batches with: those of the server, its own, or none."""

from pathlib import Path
from typing import Any

import pytest

from serving.model_server.batching_config import Batching
from serving.model_server.batching_runner import BatchingRunner
from serving.model_server.flags import Flags
from serving.model_server.status import StatusError
from tests.conformance.rows import row


class NoRunner:
    """Stands for a model that is not run."""

    def run(self, *_: Any) -> Any:
        raise AssertionError("it is not run")

    def close(self) -> None:
        pass


def batching(tmp_path: Path, text: str, *, per_model: bool = False) -> Batching:
    (tmp_path / "parameters").write_text(text)
    return Batching(
        Flags(
            enable_batching=True,
            batching_parameters_file=str(tmp_path / "parameters"),
            enable_per_model_batching_parameters=per_model,
        )
    )


def version(tmp_path: Path, text: str | None) -> Path:
    path = tmp_path / "1"
    path.mkdir()
    if text is not None:
        (path / "batching_params.pbtxt").write_text(text)
    return path


def wrapped(made: Batching, path: Path) -> BatchingRunner:
    runner = made.wrap(NoRunner(), path)
    assert isinstance(runner, BatchingRunner)
    return runner


@row("3.2/4")
def test_every_parameter_has_its_effect(tmp_path: Path) -> None:
    made = batching(
        tmp_path,
        "max_batch_size { value: 64 } batch_timeout_micros { value: 5000 } max_enqueued_batches { value: 7 } "
        'num_batch_threads { value: 3 } thread_pool_name { value: "pool" } allowed_batch_sizes: 8 '
        "allowed_batch_sizes: 32 pad_variable_length_inputs: true enable_large_batch_splitting { value: true } "
        "max_execution_batch_size { value: 32 }",
    )
    options = wrapped(made, version(tmp_path, None))._options
    assert (options.queue.max_batch_size, options.queue.batch_timeout_s, options.queue.max_enqueued_batches) == (
        32,
        0.005,
        7,
    )
    assert (options.max_request_size, options.allowed_batch_sizes, options.thread_pool_name) == (64, (8, 32), "pool")
    assert (options.pad_variable_length_inputs, options.is_splitting) == (True, True)
    assert len(made._scheduler._threads) == 3


def test_a_version_has_its_own_parameters_only_where_that_is_asked_for(tmp_path: Path) -> None:
    path = version(tmp_path, "max_batch_size { value: 4 } num_batch_threads { value: 9 }")
    common = 'max_batch_size { value: 64 } num_batch_threads { value: 2 } thread_pool_name { value: "pool" }'
    assert wrapped(batching(tmp_path, common), path)._options.queue.max_batch_size == 64
    per_model = batching(tmp_path, common, per_model=True)
    options = wrapped(per_model, path)._options
    assert (options.queue.max_batch_size, options.thread_pool_name) == (4, "pool")
    assert len(per_model._scheduler._threads) == 2


def test_where_each_has_its_own_a_version_without_is_not_batched(tmp_path: Path) -> None:
    made = batching(tmp_path, "max_batch_size { value: 64 }", per_model=True)
    runner = NoRunner()
    assert made.wrap(runner, version(tmp_path, None)) is runner


def test_a_version_whose_parameters_cannot_be_read_is_refused(tmp_path: Path) -> None:
    made = batching(tmp_path, "", per_model=True)
    with pytest.raises(StatusError, match="Invalid protobuf file"):
        made.wrap(NoRunner(), version(tmp_path, "no parameters"))
