"""Instances as callers have them become what a transport can send. Standard library only."""

import base64
from pathlib import Path
from typing import Any

# How a PNG and a JPEG file begin. No raw pixels that anybody took begin with PNG's eight.
MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")


def is_file(instance: bytes) -> bool:
    """Whether bytes are an image file, and not raw pixels."""
    return instance.startswith(MAGIC)


def plain(instance: Any) -> Any:
    """A path as its file's bytes, an array as nested lists; anything else as it is."""
    if isinstance(instance, Path):
        return instance.read_bytes()
    return instance.tolist() if hasattr(instance, "tolist") else instance


def as_json(instance: Any) -> Any:
    """As the HTTP API has it."""
    instance = plain(instance)
    if isinstance(instance, bytes):
        return {"b64": base64.b64encode(instance).decode()} if is_file(instance) else list(instance)
    return instance
