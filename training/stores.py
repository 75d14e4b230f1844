"""Where versions go: a folder, published by rename (store.py), or a URL that tf.io.gfile understands (bucket.py)."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol, final

from training import store
from training.tensorflow_log import quiet_tensorflow


class ModelStore(Protocol):
    """The versions of one model."""

    def where(self, number: int) -> str:
        """The place of a version, for people."""

    def versions(self) -> list[int]:
        """The numbers of the published versions, lowest first."""

    def at_hand(self, number: int) -> AbstractContextManager[Path]:
        """The version's folder, or a local copy of it; no folder if there is no such version."""

    def publish(
        self, write: Callable[[Path], object], verify: Callable[[Path], object], on_step: Callable[[str], object]
    ) -> int:
        """Write, verify, put in place; return the number."""

    def remove(self, numbers: set[int]) -> None:
        """Remove versions for good."""


@final
class FolderStore:
    """A folder on a file system with rename and flock."""

    def __init__(self, model: Path) -> None:
        self._model = model

    def where(self, number: int) -> str:
        """The version's folder."""
        return str(self._model / str(number))

    def versions(self) -> list[int]:
        """The numbers, lowest first."""
        return list(store.versions(self._model))

    @contextmanager
    def at_hand(self, number: int) -> Iterator[Path]:
        """The folder itself."""
        yield store.versions(self._model).get(number, self._model / str(number))

    def publish(
        self, write: Callable[[Path], object], verify: Callable[[Path], object], on_step: Callable[[str], object]
    ) -> int:
        """By one rename."""
        return store.publish(self._model, write, verify, on_step)

    def remove(self, numbers: set[int]) -> None:
        """By one rename each."""
        store.remove(self._model, numbers)


def model_store(root: Path | str, model: str) -> ModelStore:
    """The store of one model under the root: a path, or a URL as gs://bucket/models."""
    if isinstance(root, Path):
        return FolderStore(root / model)
    with quiet_tensorflow():  # it takes seconds, which a folder's user need not wait
        from training.bucket import BucketStore

    return BucketStore(f"{root.rstrip('/')}/{model}")


def is_store(root: Path | str) -> bool:
    """Whether there is anything at the root that could hold versions."""
    if isinstance(root, Path):
        return root.is_dir()
    with quiet_tensorflow():
        from training.bucket import is_folder
    return is_folder(root)


def models_in(root: Path | str) -> list[str]:
    """The names of the models that have versions."""
    if isinstance(root, Path):
        names = [path.name for path in root.glob("*")]
    else:
        with quiet_tensorflow():
            from training.bucket import names_in
        names = names_in(root)
    return sorted(name for name in names if model_store(root, name).versions())
