"""One model's versions on what tf.io.gfile understands, as gs://bucket/models/fashion. No renames there, no locks.

TF Serving takes every numeric name that it lists for a version and loads it at once. Without its saved_model.pb a load
fails and is tried again a minute later, five times, while the version before goes on serving. So all other files are
copied first, checked, and saved_model.pb last: no load can succeed before everything is there.

    .claims/<number>-<id>    a number that was given out, for ever; its name says to whom
"""

import os
import random
import re
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf

from training.errors import CannotWrite

_GRAPH = "saved_model.pb"
_CLAIM = re.compile(r"([0-9]+)-[0-9a-f]{32}")
# After a collision each waits up to so long, at random: a listing takes a bucket a tenth of that.
_MOST_WAIT_S = 1.0

BUCKET_STEPS = ("written", "verified", "numbered", "uploaded", "published")


def _ignore(_: str) -> None:
    pass


class BucketStore:
    """The versions of one model under a URL."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def where(self, number: int) -> str:
        """The version's URL."""
        return f"{self._url}/{number}"

    def versions(self) -> list[int]:
        """The numbers of the whole versions, lowest first."""
        numbers = [int(name) for name in names_in(self._url) if name.isdecimal()]
        return sorted(number for number in numbers if tf.io.gfile.exists(f"{self.where(number)}/{_GRAPH}"))

    @contextmanager
    def at_hand(self, number: int) -> Iterator[Path]:
        """A local copy of that version; no folder if there is none."""
        with tempfile.TemporaryDirectory() as scratch, _in_our_words(self._url):
            folder = Path(scratch) / self._url.rpartition("/")[2] / str(number)
            _download(self.where(number), folder)
            yield folder

    def publish(
        self,
        write: Callable[[Path], object],
        verify: Callable[[Path], object],
        on_step: Callable[[str], object] = _ignore,
    ) -> int:
        """Write a version here, verify it, and copy it under the next number, its graph last; return the number.

        When write or verify raises, or the process dies at any moment, no half version can be loaded.
        """
        with tempfile.TemporaryDirectory() as scratch, _in_our_words(self._url):
            staging = Path(scratch)
            write(staging)
            on_step("written")
            verify(staging)
            on_step("verified")
            number = self._claim()
            on_step("numbered")
            try:
                self._upload(staging, number, on_step)
            except BaseException:
                self.remove({number})
                raise
            on_step("published")
            return number

    def remove(self, numbers: set[int]) -> None:
        """Remove versions, oldest first: each begins with its graph, so that none can be loaded by half."""
        with _in_our_words(self._url):
            for number in sorted(numbers):
                graph = f"{self.where(number)}/{_GRAPH}"
                if tf.io.gfile.exists(graph):
                    tf.io.gfile.remove(graph)
                if tf.io.gfile.exists(self.where(number)):
                    tf.io.gfile.rmtree(self.where(number))

    def _upload(self, staging: Path, number: int, on_step: Callable[[str], object]) -> None:
        files = [path for path in sorted(staging.rglob("*")) if path.is_file() and path != staging / _GRAPH]
        for path in files:
            target = f"{self.where(number)}/{path.relative_to(staging)}"
            tf.io.gfile.makedirs(os.path.dirname(target))  # noqa: PTH120 (a URL)
            tf.io.gfile.copy(str(path), target)
            if (copied := tf.io.gfile.stat(target).length) != path.stat().st_size:
                raise CannotWrite(f"{target}: {copied} bytes arrived of {path.stat().st_size}")
        on_step("uploaded")
        tf.io.gfile.copy(str(staging / _GRAPH), f"{self.where(number)}/{_GRAPH}")

    def _claim(self) -> int:
        """A number that nobody else has, and nobody will.

        Each writes a claim of its own name and then lists all: of two that want the same number the later one sees the
        other's, whoever was first, and takes another. That needs no lock, only that what was written is listed, as all
        large object stores promise.
        """
        tf.io.gfile.makedirs(f"{self._url}/.claims")
        while True:
            number = max([0, *self._claims(), *(int(name) for name in names_in(self._url) if name.isdecimal())]) + 1
            with tf.io.gfile.GFile(f"{self._url}/.claims/{number}-{uuid.uuid4().hex}", "w") as claim:
                claim.write("")
            if self._claims().count(number) == 1:
                return number
            time.sleep(random.uniform(0, _MOST_WAIT_S))  # noqa: S311 (no secret)

    def _claims(self) -> list[int]:
        names = tf.io.gfile.listdir(f"{self._url}/.claims")
        return [int(found[1]) for name in names if (found := _CLAIM.fullmatch(name))]


def is_folder(url: str) -> bool:
    """Whether anything lies under a URL."""
    with _in_our_words(url):
        return bool(tf.io.gfile.isdir(url))


def names_in(url: str) -> list[str]:
    """What lies right under a URL; nothing where there is nothing."""
    return [name.rstrip("/") for name in tf.io.gfile.listdir(url)] if is_folder(url) else []


def _download(url: str, folder: Path) -> None:
    for parent, _, names in tf.io.gfile.walk(url):
        here = folder / parent.removeprefix(url).strip("/")
        here.mkdir(parents=True, exist_ok=True)
        for name in names:
            tf.io.gfile.copy(f"{parent.rstrip('/')}/{name}", str(here / name))


@contextmanager
def _in_our_words(url: str) -> Iterator[None]:
    try:
        yield
    except tf.errors.OpError as error:
        raise CannotWrite(f"{url}: {error.message}") from error
