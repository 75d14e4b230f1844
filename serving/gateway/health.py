"""Ready: is every configured model on offer, and if not, why. (Alive needs no code: who answers is alive.)"""

from dataclasses import dataclass

from serving.gateway.offers import Offers, why_not


@dataclass(frozen=True)
class ModelHealth:
    """Whether one model is on offer."""

    version: int | None  # the newest on offer
    reason: str | None  # why none is


def models_health(offers: Offers) -> dict[str, ModelHealth]:
    """The health of each configured model, as of the last look."""
    return {model: _health(offers, model) for model in offers.watches}


def is_ready(health: dict[str, ModelHealth], *, draining: bool) -> bool:
    """Ready means every configured model, in a process that was not told to stop."""
    return not draining and all(model.version is not None for model in health.values())


def _health(offers: Offers, model: str) -> ModelHealth:
    snapshot = offers.watches[model].snapshot
    offer = snapshot.pick(None)
    if offer is not None:
        return ModelHealth(offer.version, None)
    return ModelHealth(None, str(why_not(model, snapshot, None)))
