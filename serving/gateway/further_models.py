"""Models that are named while the gateway runs, in a file: each joins the others once it is on offer.

Until then nobody waits for it: the gateway stays ready, and answers for the models that it was started with.
"""

from pathlib import Path

from serving.gateway.offers import ModelWatch, Offers


class FurtherModels:
    """Looks at the file, and at the models it names that have not joined yet."""

    def __init__(self, file: Path, offers: Offers) -> None:
        self._file = file
        self._offers = offers
        self._waiting: dict[str, ModelWatch] = {}

    def look(self) -> list[ModelWatch]:
        """The watches of the models that came on offer just now; they have joined."""
        for name in self._file.read_text(encoding="utf-8").split():
            if name not in self._offers.watches and name not in self._waiting:
                self._waiting[name] = self._offers.watch_aside(name)
        for watch in self._waiting.values():
            watch.look()
        joining = [watch for watch in self._waiting.values() if watch.snapshot.offers]
        for watch in joining:
            del self._waiting[watch.model]
            self._offers.join(watch)
        return joining
