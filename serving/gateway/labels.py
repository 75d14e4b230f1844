"""Which version each label means now, as the model server says. Knows no transport."""

from collections.abc import Callable
from dataclasses import dataclass

from serving.errors import ModelNotReady, UnknownModel
from serving.gateway.model_server import ModelServer, UnknownLabel, VersionGone
from serving.gateway.predictor import Label


@dataclass(frozen=True)
class Meaning:
    """What a label meant when the model server was asked last."""

    version: int
    asked_at: float


class Labels:
    """Resolves labels, and remembers each answer for a while. Used by many threads.

    Only labels that exist are remembered: there are as many of those as the model server's configuration has.
    """

    def __init__(self, server: ModelServer, kept_s: float, clock: Callable[[], float]) -> None:
        self._server = server
        self._kept_s = kept_s
        self._clock = clock
        self._meanings: dict[tuple[str, str], Meaning] = {}

    def version(self, model: str, label: Label, timeout_s: float) -> int:
        """The version that bears the label.

        Raises:
            UnknownModel: none does.
            ModelNotReady: one does, but it is not served.
            ModelServerUnreachable, DeadlineExceeded, ModelServerFault: it could not be told.
        """
        meaning = self._meanings.get((model, label.name))
        if meaning is None or self._clock() - meaning.asked_at >= self._kept_s:
            asked_at = self._clock()
            meaning = Meaning(self._ask(model, label.name, timeout_s), asked_at)
            self._meanings[model, label.name] = meaning
        return meaning.version

    def forget(self, model: str) -> None:
        """Ask again for this model's labels."""
        for key in [key for key in list(self._meanings) if key[0] == model]:
            self._meanings.pop(key, None)

    def _ask(self, model: str, label: str, timeout_s: float) -> int:
        try:
            return self._server.labelled(model, label, timeout_s)
        except UnknownLabel as error:
            raise UnknownModel(model, f"no version of model {model!r} bears that label") from error
        except VersionGone as error:
            raise ModelNotReady(model, "the version that bears that label is not served now") from error
