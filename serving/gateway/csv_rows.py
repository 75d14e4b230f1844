"""A text/csv body (RFC 4180): a header line of feature names in any order, then one instance a line."""

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

from werkzeug.exceptions import BadRequest, RequestEntityTooLarge

from serving.gateway.violations import invalid

# Far more than instances of a usual width are taken in one request (1024 of 256 features); as Python objects they
# already take 50 times the bytes of the text.
MAX_VALUES = 2**18


def read_csv(body: bytes, _parameters: Mapping[str, str]) -> Mapping[str, Any]:
    """`instances`, each an object by feature name. What is no number stays text, for whoever knows the features."""
    header, *lines = _lines(body)
    if len(set(header)) < len(header):
        raise BadRequest("the CSV's first line names a column twice; it must name each feature once")
    return {"instances": [_instance(index, header, line) for index, line in enumerate(lines)]}


def _lines(body: bytes) -> list[list[str]]:
    try:
        text = io.StringIO(body.decode("utf-8-sig"), newline="")
        lines = list(_bounded(csv.reader(text, strict=True)))
    except UnicodeDecodeError as error:
        raise BadRequest("the CSV is not UTF-8") from error
    except csv.Error as error:
        raise BadRequest(f"the CSV cannot be read: {error}") from error
    if not lines:
        raise BadRequest("the CSV has no line with the names of the features")
    return lines


def _bounded(lines: Iterator[list[str]]) -> Iterator[list[str]]:
    """All lines but blank ones."""
    values = 0
    for line in lines:
        values += len(line)
        if values > MAX_VALUES:
            raise RequestEntityTooLarge(f"a CSV may have at most {MAX_VALUES} values; send fewer lines")
        if line:
            yield line


def _instance(index: int, header: list[str], line: list[str]) -> dict[str, float | str]:
    if len(line) != len(header):
        raise invalid(("instances", index), f"expected {len(header)} values, as the first line has, got {len(line)}")
    return dict(zip(header, map(_number, line), strict=True))


def _number(text: str) -> float | str:
    """Python also reads 1_000 and other scripts' digits as numbers."""
    try:
        return float(text) if text.isascii() and "_" not in text else text
    except ValueError:
        return text
