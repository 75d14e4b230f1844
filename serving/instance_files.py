"""Files of a person's disk as instances: pictures, JSON, CSV. Each instance remembers where it came from."""

import csv
import io
import json
import math
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from serving.client_instances import is_file
from serving.contract import ImageInput, ModelContract


class UnreadableFile(ValueError):
    """The file holds no instance; the message names it."""


@dataclass(frozen=True)
class Source:
    """What one file holds, before it is known for which model."""

    path: Path
    document: Any  # a picture's bytes; what the JSON says; a CSV's rows by column
    places: tuple[str, ...] = ()  # of a CSV's rows: "line 2"


@dataclass(frozen=True)
class Instance:
    """One instance, and what to call it."""

    name: str
    value: Any


def read_file(path: Path) -> Source:
    """What the file holds, by its content for pictures and by its name for text.

    Raises:
        UnreadableFile: it is none of these.
    """
    try:
        content = path.read_bytes()
        if is_file(content):
            return Source(path, content)
        if path.suffix.lower() == ".csv":
            return _read_csv(path, content.decode("utf-8-sig"))
        return Source(path, json.loads(content))
    except OSError as error:
        raise UnreadableFile(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError, csv.Error) as error:  # no UTF-8; no JSON, or arrays in one another without end
        raise UnreadableFile(f"{path}: expected a PNG or JPEG picture, JSON, or CSV ({error})") from error


def instances_for(contract: ModelContract, source: Source) -> list[Instance] | None:
    """The instances for this model; None where the file holds something else."""
    for values in (_values(source.document), [source.document]):  # a picture or a row may be a list of its own
        if values and all(_fits(contract, value) for value in values):
            return name_instances(source, values)
    return None


def name_instances(source: Source, values: list[Any] | None = None) -> list[Instance]:
    """Whatever the file holds, for the gateway to judge."""
    values = _values(source.document) if values is None else values
    places = source.places or ([f"instance {i}" for i in range(len(values))] if len(values) > 1 else [""])
    return [
        Instance(f"{source.path}, {place}" if place else str(source.path), value)
        for place, value in zip(places, values, strict=True)
    ]


def _values(document: Any) -> list[Any]:
    if isinstance(document, dict) and isinstance(document.get("instances"), list):
        return list(document["instances"])
    return document if isinstance(document, list) else [document]


def _fits(contract: ModelContract, value: Any) -> bool:
    """Whether this could be an instance of the model; whether it is one, the gateway says."""
    if isinstance(contract.input, ImageInput):
        if isinstance(value, dict):
            return set(value) == {"b64"}
        return isinstance(value, bytes) or _size(value) == math.prod(contract.input.shape)
    if isinstance(value, dict):
        return bool({feature.name for feature in contract.input.features} & value.keys())
    return _size(value) == len(contract.input.features) and not any(isinstance(item, list) for item in value)


def _size(value: Any) -> int:
    """How many numbers a list holds, also inside lists; 0 for anything else."""
    size, inner = 0, [value] if isinstance(value, list) else []
    while inner:
        values = list(chain.from_iterable(inner))
        inner = [item for item in values if isinstance(item, list)]
        size += len(values) - len(inner)
    return size


def _read_csv(path: Path, text: str) -> Source:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header, *rows = [(reader.line_num, row) for row in reader if row] or [(1, [])]
    names = [name.strip() for name in header[1]]
    if not rows:
        raise UnreadableFile(f"{path}: expected a line of feature names, then a line a row")
    if len(set(names)) < len(names):
        raise UnreadableFile(f"{path}: expected each feature once in the line of names, got one twice")
    for line, row in rows:
        if len(row) != len(names):
            raise UnreadableFile(f"{path}, line {line}: expected {len(names)} values, got {len(row)}")
    values = [dict(zip(names, map(_number, row), strict=True)) for _, row in rows]
    return Source(path, values, tuple(f"line {line}" for line, _ in rows))


def _number(text: str) -> float | str:
    """As the gateway reads CSV: what is no number stays text, for the gateway to name; 1_000 is none."""
    try:
        return float(text) if text.isascii() and "_" not in text else text
    except ValueError:
        return text
