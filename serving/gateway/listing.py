"""What a client is told of a configured model: which version answers, and the state of each. Knows no transport."""

from dataclasses import dataclass

from serving.gateway.health import models_health
from serving.gateway.offers import Offers, Snapshot
from serving.gateway.predictor import Offer


@dataclass(frozen=True)
class ListedVersion:
    """A version that the model server knows of."""

    version: int
    state: str  # TensorFlow Serving's word
    on_offer: bool


@dataclass(frozen=True)
class Listed:
    """A configured model. While no version is on offer, only the name, the reason and the versions are known."""

    name: str
    task: str | None
    description: str | None
    version: int | None  # answers where a request names none
    reason: str | None  # why none is on offer
    versions: tuple[ListedVersion, ...]  # newest first


def newest_first(snapshot: Snapshot) -> tuple[Offer, ...]:
    """Every version on offer."""
    return tuple(snapshot.offers[version] for version in sorted(snapshot.offers, reverse=True))


def list_model(offers: Offers, model: str) -> Listed:
    """One model, as of the last look."""
    snapshot = offers.watch(model).snapshot
    offer = snapshot.pick(None)
    return Listed(
        name=model,
        task=offer.contract.task if offer else None,
        description=offer.contract.description if offer else None,
        version=offer.version if offer else None,
        reason=models_health(offers)[model].reason,
        versions=tuple(ListedVersion(s.version, s.state, s.version in snapshot.offers) for s in snapshot.statuses),
    )
