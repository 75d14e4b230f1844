"""The table of flags is section 3.1 of the reference; it needs no TensorFlow."""

import os
import subprocess
import sys

import pytest

from serving.model_server.flags import Flags, MalformedFlag, parse, usage, without_effect


def test_defaults_are_tensorflow_servings() -> None:
    flags = parse([]).flags
    assert (flags.port, flags.rest_api_port, flags.rest_api_timeout_in_ms) == (8500, 0, 30000)
    assert flags.rest_api_num_threads == flags.grpc_max_threads == 4 * (os.cpu_count() or 1)
    assert (flags.model_name, flags.model_base_path, flags.saved_model_tags) == ("default", "", "serve")
    assert (flags.max_num_load_retries, flags.load_retry_interval_micros) == (5, 60_000_000)
    assert (flags.file_system_poll_wait_seconds, flags.model_config_file_poll_wait_seconds) == (1, 0)
    assert flags.enable_model_warmup
    assert flags.enable_profiler
    assert not flags.enable_batching


@pytest.mark.parametrize(
    ("argument", "name", "value"),
    [
        ("--port=1", "port", 1),
        ("--port=-1", "port", -1),
        ("--model_name=a=b", "model_name", "a=b"),
        ("--model_name=", "model_name", ""),
        ("--enable_batching", "enable_batching", True),
        ("--enable_batching=true", "enable_batching", True),
        ("--enable_batching=True", "enable_batching", True),
        ("--enable_batching=1", "enable_batching", True),
        ("--enable_profiler=false", "enable_profiler", False),
        ("--enable_profiler=FALSE", "enable_profiler", False),
        ("--enable_profiler=0", "enable_profiler", False),
        ("--per_process_gpu_memory_fraction=0.5", "per_process_gpu_memory_fraction", 0.5),
    ],
)
def test_reads_values(argument: str, name: str, value: object) -> None:
    assert getattr(parse([argument]).flags, name) == value


@pytest.mark.parametrize(
    "argument",
    ["--port=http", "--port=1.5", "--port=4294967296", "--enable_batching=yes", "--per_process_gpu_memory_fraction=x"],
)
def test_a_malformed_value_is_named(argument: str) -> None:
    name, value = argument.removeprefix("--").split("=")
    with pytest.raises(MalformedFlag, match=f"Couldn't interpret value {value} for flag {name}."):
        parse([argument])


def test_unknown_arguments_are_handed_back() -> None:
    parsed = parse(["--nope=1", "stray", "--port=1", "--model_name"])
    assert parsed.unknown == ["--nope=1", "stray", "--model_name"]
    assert parsed.flags == Flags(port=1)


def test_usage_lists_every_flag_with_type_and_default() -> None:
    text = usage("server")
    assert text.startswith("usage: server\nFlags:\n")
    for part in ("--port=8500", "int32", '--model_name="default"', "--enable_profiler=true", "int64", "float"):
        assert part in text


def test_flags_that_do_nothing_are_known() -> None:
    assert without_effect(Flags(skip_initialize_tpu=True, port=1)) == {"skip_initialize_tpu": "true"}


def test_the_command_line_is_read_without_tensorflow() -> None:
    code = "import sys, serving.model_server.__main__; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
