"""The model store: <store>/<model>/<version>/, TF Serving's own layout. Knows folders, not what is in them.

A version appears by one rename and disappears by one rename, so a reader never sees half of one. Whatever begins with
a dot is ours: TF Serving reads numeric names alone. Needs a file system with rename and flock (local, NFS; no bucket).

    .lock           held while a version is published or removed: the kernel lets go of it when its holder dies
    .last-version   the highest number ever given out, so that none comes back after its version was removed
    .staging-*      a version being written      .removed-*   one being deleted; left behind only by dead processes
"""

import fcntl
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_VERSION = re.compile(r"[0-9]+")
_LEFTOVERS = (".staging-*", ".removed-*")

# The steps of publish(), in order, as on_step hears of them; WAITING comes first if somebody else holds the lock.
WAITING = "waiting"
PUBLISH_STEPS = ("locked", "staged", "written", "verified", "synced", "numbered", "renamed", "published")


def _ignore(_: str) -> None:
    pass


def versions(model: Path) -> dict[int, Path]:
    """The published versions of a model's folder, lowest first."""
    if not model.is_dir():
        return {}
    found = {int(child.name): child for child in model.iterdir() if _VERSION.fullmatch(child.name)}
    return dict(sorted(found.items()))


def publish(
    model: Path,
    write: Callable[[Path], object],
    verify: Callable[[Path], object],
    on_step: Callable[[str], object] = _ignore,
) -> int:
    """Write a version aside, verify it, and put it in place under the next number; return the number.

    When write or verify raises, or the process dies at any moment, the store serves what it served.

    Args:
        model: <store>/<model>; made if need be.
        write: fills the empty folder it is given.
        verify: raises if the folder it is given must not be published.
        on_step: called after each of PUBLISH_STEPS.
    """
    with _locked(model, on_step):
        on_step("locked")
        staging = model / f".staging-{uuid.uuid4().hex}"
        staging.mkdir()
        try:
            on_step("staged")
            write(staging)
            on_step("written")
            verify(staging)
            on_step("verified")
            _sync_tree(staging)
            on_step("synced")
            number = _take_number(model)
            on_step("numbered")
            staging.rename(model / str(number))
            on_step("renamed")
            _sync(model)
        finally:
            shutil.rmtree(staging, ignore_errors=True)  # gone already if all went well
        on_step("published")
        return number


def remove(model: Path, numbers: set[int]) -> None:
    """Remove versions, oldest first; each is gone in one step, whatever happens after."""
    with _locked(model, _ignore):
        present = versions(model)
        _remember(model, max([_last_number(model), *present]))
        for number in sorted(numbers & present.keys()):
            grave = model / f".removed-{number}-{uuid.uuid4().hex}"
            present[number].rename(grave)
            _sync(model)
            shutil.rmtree(grave)


@contextmanager
def _locked(model: Path, on_step: Callable[[str], object]) -> Iterator[None]:
    """One publisher or remover at a time; others wait. What dead ones left behind is cleared away."""
    model.mkdir(parents=True, exist_ok=True)
    _sync(model.parent)
    with (model / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_step(WAITING)
            fcntl.flock(lock, fcntl.LOCK_EX)
        # We hold the lock, so whoever made these is dead.
        for leftover in (path for pattern in _LEFTOVERS for path in model.glob(pattern)):
            shutil.rmtree(leftover)
        yield


def _take_number(model: Path) -> int:
    """The next number, written down before it is used: a crash may skip one, never give one out twice."""
    number = max([_last_number(model), *versions(model)]) + 1
    _remember(model, number)
    return number


def _last_number(model: Path) -> int:
    try:
        return int((model / ".last-version").read_text())
    except FileNotFoundError:
        return 0


def _remember(model: Path, number: int) -> None:
    """Replace .last-version whole: a torn one would stop every later publisher."""
    fresh = model / ".last-version.new"
    fresh.write_text(f"{number}\n")
    _sync(fresh)
    fresh.replace(model / ".last-version")
    _sync(model)


def _sync_tree(folder: Path) -> None:
    """Force files and the folders that name them to disk: a rename must not outlive what it renamed."""
    for parent, _, names in os.walk(folder, topdown=False):
        for name in names:
            _sync(Path(parent) / name)
        _sync(Path(parent))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
