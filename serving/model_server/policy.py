"""Which version to load or unload next, so that a model stays available. Pure: snapshots in, one action out.

After tensorflow_serving/core/availability_preserving_policy.cc.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto


class HarnessState(Enum):
    """What the manager is doing with a version."""

    NEW = auto()
    LOADING = auto()
    READY = auto()
    UNLOADING = auto()  # taken from new requests, waiting for those in flight, then being unloaded
    DISABLED = auto()
    ERROR = auto()


class ActionKind(Enum):
    """Unloads come first: they make room."""

    UNLOAD = 0
    LOAD = 1


@dataclass(frozen=True)
class Snapshot:
    """One version of a model, as the policy sees it."""

    version: int
    state: HarnessState
    is_aspired: bool


@dataclass(frozen=True)
class Action:
    """The next step for one model."""

    kind: ActionKind
    version: int


def next_action(versions: Sequence[Snapshot]) -> Action | None:
    """Unload an unwanted version once another can answer; else load the newest wanted one."""
    aspired = [snapshot for snapshot in versions if snapshot.is_aspired]
    is_aspired_serving = any(snapshot.state is HarnessState.READY for snapshot in aspired)
    unwanted = [s.version for s in versions if not s.is_aspired and s.state is HarnessState.READY]
    if unwanted and (not aspired or is_aspired_serving or len(unwanted) > 1):
        return Action(ActionKind.UNLOAD, min(unwanted))
    new = [snapshot.version for snapshot in aspired if snapshot.state is HarnessState.NEW]
    return Action(ActionKind.LOAD, max(new)) if new else None
