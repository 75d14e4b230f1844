"""The command line: every flag of tensorflow_model_server, parsed as tensorflow::Flags does. Must not import it.

After tensorflow/core/util/command_line_flags.cc and tensorflow_serving/model_servers/main.cc.
"""

# ruff: noqa: FBT003 (a table of defaults)

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, get_type_hints

_CPUS = os.cpu_count() or 1


def _flag(default: Any, usage: str, *, has_effect: bool = True, is_int64: bool = False) -> Any:
    return field(
        default=default, metadata={"usage": usage, "has_effect": has_effect, "type": "int64" if is_int64 else None}
    )


@dataclass(frozen=True)
class Flags:
    """What the server is told. Names, defaults and units are TensorFlow Serving's; those at the end are ours."""

    port: int = _flag(8500, "TCP port for gRPC; disabled if zero")
    grpc_socket_path: str = _flag("", "if not empty, listen for gRPC on this UNIX socket too")
    rest_api_port: int = _flag(0, "port for HTTP/REST; not exported if zero; must differ from --port")
    rest_api_num_threads: int = _flag(4 * _CPUS, "threads for HTTP/REST")
    rest_api_timeout_in_ms: int = _flag(30000, "time limit of a HTTP/REST call")
    rest_api_enable_cors_support: bool = _flag(False, "send CORS headers")
    enable_batching: bool = _flag(False, "gather requests into batches")
    allow_version_labels_for_unavailable_models: bool = _flag(
        False, "let unused version labels point at versions that are not available yet"
    )
    batching_parameters_file: str = _flag("", "text BatchingParameters to use instead of the defaults")
    enable_per_model_batching_parameters: bool = _flag(
        False, "read batching_params.pbtxt in each version; the file above then gives only the thread pool"
    )
    model_config_file: str = _flag("", "text ModelServerConfig; --model_name, --model_base_path are then ignored")
    model_config_file_poll_wait_seconds: int = _flag(0, "read the file above again every so often; once if zero")
    model_name: str = _flag("default", "name of the model")
    model_base_path: str = _flag("", "directory that holds the model's versions; needed without --model_config_file")
    num_load_threads: int = _flag(0, "threads that load servables; one at a time if zero")
    num_unload_threads: int = _flag(0, "threads that unload servables; one at a time if zero")
    max_num_load_retries: int = _flag(5, "how often a load is tried again after the first failure")
    load_retry_interval_micros: int = _flag(60_000_000, "time between load retries; none if negative", is_int64=True)
    file_system_poll_wait_seconds: int = _flag(
        1, "time between looks for new versions; once if zero, never if negative"
    )
    flush_filesystem_caches: bool = _flag(True, "flush file system caches after loading", has_effect=False)
    tensorflow_session_parallelism: int = _flag(0, "threads of a session, intra and inter; 0: automatic", is_int64=True)
    tensorflow_session_config_file: str = _flag("", "text ConfigProto of the sessions")
    tensorflow_intra_op_parallelism: int = _flag(0, "threads within an op; 0: automatic", is_int64=True)
    tensorflow_inter_op_parallelism: int = _flag(0, "ops run at the same time; 0: automatic", is_int64=True)
    use_alts_credentials: bool = _flag(False, "use Google ALTS credentials; makes gRPC secure")
    ssl_config_file: str = _flag("", "text SSLConfig; makes gRPC secure")
    platform_config_file: str = _flag("", "text PlatformConfigMap", has_effect=False)
    per_process_gpu_memory_fraction: float = _flag(0.0, "share of each GPU's memory to take; 0: automatic")
    saved_model_tags: str = _flag("serve", "comma-separated tags of the meta graph to load")
    grpc_channel_arguments: str = _flag("", "comma-separated key=value arguments for the gRPC server")
    grpc_max_threads: int = _flag(4 * _CPUS, "threads that answer gRPC")
    enable_model_warmup: bool = _flag(True, "replay warm-up requests at load")
    num_request_iterations_for_warmup: int = _flag(0, "how often each warm-up request is replayed, if > 0")
    version: bool = _flag(False, "print the versions and exit")
    monitoring_config_file: str = _flag("", "text MonitoringConfig")
    remove_unused_fields_from_bundle_metagraph: bool = _flag(True, "drop what serving does not need", has_effect=False)
    prefer_tflite_model: bool = _flag(False, "serve model.tflite where there is one")
    num_tflite_pools: int = _flag(_CPUS, "interpreters of a TFLite model: that many runs at a time")
    num_tflite_interpreters_per_pool: int = _flag(1, "cut TFLite batches into so many", has_effect=False)
    enable_signature_method_name_check: bool = _flag(False, "refuse signatures of another method")
    xla_cpu_compilation_enabled: bool = _flag(False, "enable XLA:CPU", has_effect=False)
    xla_gpu_compilation_enabled: bool = _flag(False, "enable XLA:CPU and XLA:GPU", has_effect=False)
    enable_profiler: bool = _flag(True, "offer the profiler service")
    thread_pool_factory_config_file: str = _flag("", "text ThreadPoolConfig", has_effect=False)
    mixed_precision: str = _flag("", "run in mixed precision: bfloat16")
    skip_initialize_tpu: bool = _flag(False, "do not initialize TPUs", has_effect=False)
    enable_grpc_healthcheck_service: bool = _flag(False, "offer the standard gRPC health service")
    enable_serialization_as_tensor_content: bool = _flag(False, "reply with tensor_content")
    drain_timeout_seconds: int = _flag(
        # half of Kubernetes' terminationGracePeriodSeconds, so that the exit is ours and not SIGKILL's
        15,
        "(not in TensorFlow Serving) how long requests in flight may take after SIGTERM",
    )
    bind_address: str = _flag("0.0.0.0", "(not in TensorFlow Serving) address on which both ports listen")  # noqa: S104
    enable_readiness_path: bool = _flag(
        False, "(not in TensorFlow Serving) answer GET /readyz and /readyz/<model> on the HTTP/REST port"
    )
    enable_grpc_reflection: bool = _flag(False, "(not in TensorFlow Serving) offer the gRPC reflection service")
    serve_without_missing_models: bool = _flag(
        False,
        "(not in TensorFlow Serving) do not wait for models without a version, nor let a missing base path hold up "
        "the others; they are taken in when a version appears",
    )


_INT64_FLAGS = {flag.name for flag in fields(Flags) if flag.metadata["type"] == "int64"}
_BOOLS = {"true": True, "1": True, "false": False, "0": False}
_INTEGERS = {False: range(-(2**31), 2**31), True: range(-(2**63), 2**63)}


class MalformedFlag(ValueError):
    """A flag with a value that is not of its type."""


@dataclass(frozen=True)
class CommandLine:
    """The flags, and the arguments that are none."""

    flags: Flags
    unknown: Sequence[str]


def parse(arguments: Sequence[str]) -> CommandLine:
    """Read `--name=value`, or `--name` for a bool.

    Raises:
        MalformedFlag: names the flag and its value. An unknown argument is no error.
    """
    hints = get_type_hints(Flags)
    values: dict[str, Any] = {}
    unknown = []
    for argument in arguments:
        name, has_value, text = argument.removeprefix("--").partition("=")
        kind = hints.get(name) if argument.startswith("--") else None
        if kind is None or (not has_value and kind is not bool):
            unknown.append(argument)
        else:
            values[name] = _parsed(name, text if has_value else "true", kind)
    return CommandLine(Flags(**values), unknown)


def _parsed(name: str, text: str, kind: type) -> Any:
    if kind is str:
        return text
    if kind is bool and text.lower() in _BOOLS:
        return _BOOLS[text.lower()]
    if kind is int and re.fullmatch(r"\s*[+-]?[0-9]+", text) and int(text) in _INTEGERS[name in _INT64_FLAGS]:
        return int(text)
    if kind is float:
        try:
            return float(text)
        except ValueError:
            pass
    raise MalformedFlag(f"Couldn't interpret value {text} for flag {name}.")


def usage(program: str) -> str:
    """What is printed to whoever got it wrong."""
    names = {int: "int32", bool: "bool", str: "string", float: "float"}
    hints = get_type_hints(Flags)
    lines = [f"usage: {program}", "Flags:"]
    for flag in fields(Flags):
        kind = flag.metadata["type"] or names[hints[flag.name]]
        lines.append(f"\t{f'--{flag.name}={_shown(flag.default)}':<33}\t{kind}\t{flag.metadata['usage']}")
    return "\n".join(lines) + "\n"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:f}"
    return f'"{value}"' if isinstance(value, str) else str(value)


def without_effect(flags: Flags) -> Mapping[str, str]:
    """The flags that were set, with their values, but do nothing here."""
    return {
        flag.name: _shown(getattr(flags, flag.name))
        for flag in fields(Flags)
        if not flag.metadata["has_effect"] and getattr(flags, flag.name) != flag.default
    }
