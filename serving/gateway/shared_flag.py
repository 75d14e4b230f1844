"""A flag that a main process raises and its forked workers see at once, as a threading.Event is one between threads."""

import mmap
from typing import Protocol


class Flag(Protocol):
    """What a threading.Event is too."""

    def is_set(self) -> bool:
        """Raised."""

    def set(self) -> None:
        """Raise it, for good."""


class SharedFlag:
    """A Flag in memory that processes forked later share."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 1)

    def is_set(self) -> bool:
        """Raised, by whichever process."""
        return self._memory[0] == 1

    def set(self) -> None:
        """Raise it, for good."""
        self._memory[0] = 1
