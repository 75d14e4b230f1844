"""Where raw arrays come from: a data set's sources are asked in order, and the first with the right arrays wins.

Right means the SHA-256 that the data set names, whatever the source. Knows nothing of models or splits.
"""

import hashlib
import io
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from training.errors import DatasetUnavailable

Arrays = Mapping[str, npt.NDArray[Any]]  # in a fixed order, which the digest depends on
Report = Callable[[str], None]


class SourceUnavailable(Exception):
    """This source has nothing for us; the message says why."""


@dataclass(frozen=True)
class Source:
    """One place that may have a data set."""

    name: str  # goes into the contract: it names no path of this machine
    fetch: Callable[[], Arrays]  # raises SourceUnavailable


def first_right(
    dataset: str, sources: Sequence[Source], digest: str, advice: str, report: Report
) -> tuple[str, Arrays]:
    """The name of the first source that gives the arrays of this digest, and the arrays.

    Raises:
        DatasetUnavailable: none does; lists every source with its reason, and the advice.
    """
    failures = []
    for source in sources:
        try:
            arrays = source.fetch()
            if (came := arrays_digest(arrays)) != digest:
                raise SourceUnavailable(f"it holds other data: expected {digest}, got {came}")
        except SourceUnavailable as reason:
            failures.append(f"{source.name}: {reason}")
            report(f"{dataset}: not from {failures[-1]}")
        else:
            return source.name, arrays
    listed = "".join(f"\n  - {failure}" for failure in failures)
    raise DatasetUnavailable(f"{dataset}: no source gave the data.{listed}\n{advice}")


def arrays_digest(arrays: Arrays) -> str:
    """sha256 over each array's name, dtype, shape and little-endian bytes, in order."""
    sha = hashlib.sha256()
    for name, array in arrays.items():
        little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        sha.update(f"{name} {array.dtype.name} {array.shape}\n".encode())
        sha.update(little.tobytes())
    return f"sha256:{sha.hexdigest()}"


@contextmanager
def keras_download() -> Iterator[None]:
    """Keras's downloads without their noise and without waiting for ever; its failures in our words."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(20)  # seconds; Keras sets none, and a silent firewall would hold us for minutes
    try:
        with redirect_stdout(io.StringIO()):
            yield
    except Exception as error:  # keras.utils.get_file raises no narrower one
        raise SourceUnavailable(f"{error}") from error
    finally:
        socket.setdefaulttimeout(before)
