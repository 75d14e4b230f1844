"""ModelServerConfig: read from its text form, and checked as TensorFlow Serving checks it. Reads one file."""

import logging
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from google.protobuf.message import Message
from tensorflow_serving.config import model_server_config_pb2

from serving.model_server.status import Code, StatusError, invalid_argument

_logger = logging.getLogger(__name__)

PLATFORM = "tensorflow"  # the one platform there is


def read_text_proto(path: str, message: Message) -> None:
    """Fill a message from a text file.

    Bytes that are no UTF-8 are read as the text format escapes them: of no matter in a comment, and refused in a name.

    Raises:
        StatusError: the file cannot be read, or its text is not of that message; the parser's words go to the log.
    """
    try:
        text = Path(path).read_text(encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise StatusError(Code.NOT_FOUND, f"{path}; {error.strerror}") from error
    try:
        text_format.Parse(text, message)
    except text_format.ParseError as error:
        _logger.error("Error parsing text-format %s: %s", message.DESCRIPTOR.full_name, error)  # noqa: TRY400
        raise invalid_argument(f"Invalid protobuf file: '{path}'") from error


def single_model_config(name: str, base_path: str) -> model_server_config_pb2.ModelServerConfig:
    """The configuration that --model_name and --model_base_path stand for."""
    _logger.info("Building single TensorFlow model file config:  model_name: %s model_base_path: %s", name, base_path)
    config = model_server_config_pb2.ModelServerConfig()
    config.model_config_list.config.add(name=name, base_path=base_path, model_platform=PLATFORM)
    return config


def check_model_configs(models: Any) -> None:
    """Refuse duplicate names, relative paths and unknown platforms; the order of checks is TensorFlow Serving's."""
    seen: set[str] = set()
    for model in models:
        if model.name in seen:
            raise invalid_argument(f"Illegal to list model {model.name} multiple times in config list")
        seen.add(model.name)
    for model in models:
        if not model.base_path.startswith("/") and "://" not in model.base_path:
            raise invalid_argument(
                f"Expected model {model.name} to have an absolute path or URI; got base_path()={model.base_path}"
            )


def check_platforms(models: Any) -> None:
    """Refuse models that no engine of ours can serve."""
    for model in models:
        platform = platform_of(model)
        if platform != PLATFORM:
            raise invalid_argument(f"Model {model.name} requests unsupported platform {platform}")


def check_no_model_changes_platform(old: Any, new: Any) -> None:
    """A served model keeps its platform."""
    before = {model.name: platform_of(model) for model in old}
    for model in new:
        if model.name in before and before[model.name] != (requested := platform_of(model)):
            raise invalid_argument(
                f"Illegal to change a model's platform. For model {model.name} platform was {before[model.name]} and "
                f"new platform requested is {requested}"
            )


def platform_of(model: Any) -> str:
    """The platform of a ModelConfig, also where only the deprecated model_type is set."""
    if model.model_type == model_server_config_pb2.MODEL_TYPE_UNSPECIFIED:
        if not model.model_platform:
            raise invalid_argument(
                "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
                f"ModelServerConfig::model_platform, model name is {model.name}"
            )
        return str(model.model_platform)
    _logger.warning("Deprecated ModelServerConfig::model_type field used. Prefer ModelServerConfig::model_platform.")
    if model.model_platform:
        raise invalid_argument(
            "Illegal setting both ModelServerConfig::model_type (deprecated) and ModelServerConfig::model_platform, "
            f"model name is {model.name}"
        )
    if model.model_type != model_server_config_pb2.TENSORFLOW:
        raise invalid_argument(f"ModelServerConfig::model_type choice {model.model_type} not supported.")
    return PLATFORM
