"""Source: watches base paths and says which versions should be served. Knows directories and policies, not models.

After tensorflow_serving/sources/storage_path/file_system_storage_path_source.cc.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.version_name import version_of

_logger = logging.getLogger(__name__)

AspireCallback = Callable[[str, Mapping[int, Path]], None]


@dataclass(frozen=True)
class ServableToMonitor:
    """One model: where its versions lie and which of them to serve."""

    name: str
    base_path: Path
    policy: Any  # tensorflow.serving ServableVersionPolicy: latest (the default) | all | specific


class BasePathMissing(OSError):
    """A base path cannot be read now. The poll stops there, so that nothing is unloaded by mistake."""


def find_versions(servable: ServableToMonitor) -> Mapping[int, Path]:
    """The versions that the policy wants and the directory has.

    Raises:
        BasePathMissing: the base path is not there, or cannot be listed.
    """
    try:
        names = sorted(child.name for child in servable.base_path.iterdir())
    except (OSError, ValueError) as error:  # ValueError: there is a NUL in the path
        raise BasePathMissing(
            f"Could not find base path {servable.base_path} for servable {servable.name} with error {error}"
        ) from error
    wanted = _wanted(servable, _by_version(names))
    if not wanted:
        _logger.warning(
            "No versions of servable %s found under base path %s. Did you forget to name your leaf directory as a "
            "number (eg. '/1/')?",
            servable.name,
            servable.base_path,
        )
    return {version: servable.base_path / name for version, name in wanted.items()}


def _by_version(names: Sequence[str]) -> Mapping[int, str]:
    """Children whose name is a number; of two names for one number the later wins."""
    found: dict[int, str] = {}
    for name in names:
        version = version_of(name)
        if version is None:
            continue
        if version in found:
            _logger.warning(
                "Duplicate version directories detected. Version %d will be loaded from %s, %s will be ignored.",
                version,
                name,
                found[version],
            )
        found[version] = name
    return found


def _wanted(servable: ServableToMonitor, found: Mapping[int, str]) -> Mapping[int, str]:
    choice = servable.policy.WhichOneof("policy_choice")
    if choice == "all":
        return found
    if choice == "specific":
        return _specific(servable, found)
    newest = sorted(found, reverse=True)[: max(servable.policy.latest.num_versions, 1)]
    return {version: found[version] for version in newest}


def _specific(servable: ServableToMonitor, found: Mapping[int, str]) -> Mapping[int, str]:
    for version in servable.policy.specific.versions:
        if version not in found:
            _logger.warning(
                "Version %d of servable %s, which was requested to be served as a 'specific' version in the "
                "servable's version policy, was not found in the file system",
                version,
                servable.name,
            )
    return {version: found[version] for version in set(servable.policy.specific.versions) if version in found}


def _has_version(servable: ServableToMonitor) -> bool:
    try:
        return bool(find_versions(servable))
    except BasePathMissing:
        return False


class FileSystemStoragePathSource:
    """Polls the base paths and tells `aspire` what it found."""

    def __init__(self, aspire: AspireCallback, poll_wait_s: float, *, pass_over_missing: bool = False) -> None:
        """Start watching.

        Args:
            poll_wait_s: seconds between polls; 0 polls once a configuration, a negative number never.
            pass_over_missing: a model whose base path is missing does not end the poll for the others.
        """
        self._aspire = aspire
        self._pass_over_missing = pass_over_missing
        self._poll_wait_s = poll_wait_s
        self._servables: tuple[ServableToMonitor, ...] = ()
        self._lock = threading.Lock()  # one poll at a time, of one configuration
        self._wake = threading.Event()
        self._is_stopping = False
        self._thread = threading.Thread(target=self._watch, name="file-system-source", daemon=True)
        self._thread.start()

    def update(self, servables: Sequence[ServableToMonitor]) -> None:
        """Watch these models from now on; those no longer named lose all versions."""
        with self._lock:
            names = {servable.name for servable in servables}
            for gone in self._servables:
                if gone.name not in names:
                    self._aspire(gone.name, {})
            self._servables = tuple(servables)
        self._wake.set()

    def model_names(self) -> set[str]:
        """The models that are watched."""
        with self._lock:
            return {servable.name for servable in self._servables}

    def without_versions(self) -> set[str]:
        """The models that have nothing to serve now."""
        with self._lock:
            return {servable.name for servable in self._servables if not _has_version(servable)}

    def poll(self) -> None:
        """Look once. A missing base path ends the poll for all, as in TensorFlow Serving, unless it is passed over."""
        with self._lock:
            found: dict[str, Mapping[int, Path]] = {}
            for servable in self._servables:
                try:
                    found[servable.name] = find_versions(servable)
                except BasePathMissing as error:
                    _logger.error(  # noqa: TRY400 (the sentence says it all)
                        "FileSystemStoragePathSource encountered a filesystem access error: %s", error
                    )
                    if not self._pass_over_missing:
                        return
            for name, versions in found.items():
                self._aspire(name, versions)

    def stop(self) -> None:
        """Look no more."""
        self._is_stopping = True
        self._wake.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self._wake.wait(self._poll_wait_s if self._poll_wait_s > 0 else None)
            self._wake.clear()
            if self._is_stopping:
                return
            if self._poll_wait_s >= 0:
                self.poll()
