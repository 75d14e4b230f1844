"""Loader: how one version becomes a servable and ceases to be one. What it loads is a SavedModel in a directory, or the
TFLite model beside it.

The TF1 loader is used because it takes every SavedModel that TensorFlow Serving takes; `tf.saved_model.load` does not
(reference-typed variables, graphs whose static shapes disagree).
"""

import contextlib
import gc
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from google.protobuf.message import DecodeError
from tensorflow import Graph, errors
from tensorflow.compat import v1

from serving.model_server import metrics
from serving.model_server.servable import Runner, Servable, ServableId
from serving.model_server.session_runner import SessionRunner
from serving.model_server.status import Code, StatusError
from serving.model_server.tflite_runner import TfLiteRunner, make_interpreter
from serving.model_server.tflite_signatures import tflite_signatures

_logger = logging.getLogger(__name__)

MLMD_FILE = "assets.extra/mlmd_uuid"  # machine_learning_metadata.cc: the version's key in a metadata store
TFLITE_FILE = "model.tflite"  # kTfLiteModelFilename of saved_model_bundle_factory.cc


class Loader(Protocol):
    """Loads one version. Asked again after a failure."""

    def load(self) -> Servable:
        """Load, and warm up.

        Raises:
            StatusError: why this version cannot be served.
        """
        ...

    def unload(self, servable: Servable) -> None:
        """Give back what `load` took. No request is in flight."""
        ...


@dataclass(frozen=True)
class SavedModelLoader:
    """Loads a SavedModel into a session of its own; or `model.tflite` into interpreters, if told to prefer it."""

    id: ServableId
    path: Path
    tags: Sequence[str]
    session_config: Any  # tensorflow.ConfigProto
    warm_up: Callable[[Servable, Path], None]
    wrap: Callable[[Runner, Path], Runner]  # what stands between requests and the model, such as batching
    num_tflite_interpreters: int | None = None  # None: a TFLite model is not looked for
    checks_method_names: bool = False

    def load(self) -> Servable:
        """Load the model and replay its warm-up requests. See `Loader`."""
        runner, signatures = self._load_model()
        try:
            wrapped = self.wrap(runner, self.path)
        except StatusError:
            runner.close()
            raise
        servable = Servable(self.id, signatures, wrapped, self.checks_method_names)
        try:
            self.warm_up(servable, self.path)
        except StatusError:
            self.unload(servable)
            raise
        if (self.path / MLMD_FILE).exists():
            metrics.mlmd_map.set(self.id.name, str(self.id.version))
        return servable

    def unload(self, servable: Servable) -> None:
        """Close the model; collect its graph at once, for it is full of reference cycles."""
        servable.runner.close()
        gc.collect()

    def _load_model(self) -> tuple[Runner, dict[str, Any]]:
        tflite = self.path / TFLITE_FILE
        if self.num_tflite_interpreters is not None and tflite.exists():
            return _load_tflite(tflite, self.num_tflite_interpreters)
        _logger.info("Reading SavedModel from: %s", self.path)
        try:
            session, signatures = _load_graph(self.path, self.tags, self.session_config)
        except StatusError:
            metrics.load_attempt_count.increment(str(self.path), "fail")
            raise
        metrics.load_attempt_count.increment(str(self.path), "success")
        return SessionRunner(session), signatures


def _load_tflite(file: Path, num_interpreters: int) -> tuple[Runner, dict[str, Any]]:
    _logger.info("Reading TFLite model from: %s", file)
    try:
        model = file.read_bytes()
    except OSError as error:
        raise StatusError(Code.NOT_FOUND, f"{file}; {error.strerror}") from error
    interpreter = make_interpreter(model)
    signatures = tflite_signatures(model, interpreter.get_input_details(), interpreter.get_output_details())
    return TfLiteRunner(model, num_interpreters), signatures


def _load_graph(path: Path, tags: Sequence[str], config: Any) -> tuple[Any, dict[str, Any]]:
    """Load into a new session; errors as the C++ loader words them (tensorflow/cc/saved_model/reader.cc)."""
    if not any((path / name).exists() for name in ("saved_model.pb", "saved_model.pbtxt")):
        raise StatusError(
            Code.NOT_FOUND,
            f"Could not find SavedModel .pb or .pbtxt at supplied export directory path: {path}. Check that the "
            "directory exists and that you have the right permissions for accessing it.",
        )
    graph = Graph()
    with graph.as_default():
        session = v1.Session(graph=graph, config=config)
        with contextlib.ExitStack() as on_failure:
            on_failure.callback(session.close)
            meta_graph = _load_into(session, path, tags)
            on_failure.pop_all()
    return session, dict(meta_graph.signature_def)


def _load_into(session: Any, path: Path, tags: Sequence[str]) -> Any:
    try:
        return v1.saved_model.load(session, list(tags), str(path))
    except errors.OpError as error:
        raise StatusError(Code(error.error_code), error.message) from error
    except RuntimeError as error:
        raise StatusError(
            Code.NOT_FOUND,
            f"Could not find meta graph def matching supplied tags: {{ {' '.join(tags)} }}. To inspect available "
            "tag-sets in the SavedModel, please use the SavedModel CLI: `saved_model_cli`",
        ) from error
    except (OSError, DecodeError) as error:
        raise StatusError(Code.DATA_LOSS, f"Can't parse {path / 'saved_model.pb'} as binary proto") from error
    except (ValueError, KeyError, TypeError) as error:  # a graph that import_graph_def refuses
        raise StatusError(Code.INVALID_ARGUMENT, str(error)) from error
