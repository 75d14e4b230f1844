"""How many connections each worker has, in memory that all of them share, so that a new one goes to who has few.

The kernel wakes all workers for a connection, and whoever runs first takes it: of callers that come together, and keep
their connections, one worker may get nearly all.
"""

import mmap

# A worker with so many more than another leaves the next one to it. With less, both take what comes.
NOTABLY_MORE = 2
_ABSENT = -1  # nobody is there, or takes any
_BYTES = 4


class Shares:
    """Made before the workers are forked; places are given out by the main process alone."""

    def __init__(self, places: int) -> None:
        self._counts = memoryview(mmap.mmap(-1, places * _BYTES)).cast("i")
        self._free = set(range(places))
        for index in self._free:
            self._counts[index] = _ABSENT

    def join(self) -> "Place":
        """A place for a worker to come; where there is none left, one that nobody else sees."""
        if not self._free:
            return Shares(1).join()
        return Place(self._counts, self._free.pop())

    def leave(self, place: "Place") -> None:
        """Its worker has ended, however it did."""
        place.close()
        if place.counts is self._counts:
            self._free.add(place.index)


class Place:
    """What one worker tells and sees. Its place is empty until it tells something."""

    def __init__(self, counts: memoryview, index: int) -> None:
        self.counts, self.index = counts, index

    def tell(self, connections: int) -> None:
        """So many are here, and more may come."""
        self.counts[self.index] = connections

    def close(self) -> None:
        """No more may come."""
        self.counts[self.index] = _ABSENT

    @property
    def has_its_share(self) -> bool:
        """Another worker, which takes connections, has notably fewer."""
        enough = self.counts[self.index] - NOTABLY_MORE
        return any(_ABSENT < count <= enough for count in self.counts)
