"""Kubernetes' HorizontalPodAutoscaler, as its documentation words the rule, with the numbers of our manifest.

https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/
"""

import math
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

import yaml

MANIFEST = Path("k8s/components/autoscaling/autoscalers.yaml")
KEDA_MANIFEST = Path("k8s/components/keda/scaled-object.yaml")
SYNC_S = 15  # the controller looks this often
TOLERANCE = 0.1  # it leaves alone what is this close to the target


@dataclass(frozen=True)
class Policy:
    """One autoscaler's numbers."""

    least: int
    most: int
    target: float  # share of the requested processor time
    up_percent: float
    up_period_s: float
    down_percent: float
    down_period_s: float
    down_wait_s: float  # scaleDown's stabilizationWindowSeconds


def policy(name: str, manifest: Path = MANIFEST) -> Policy:
    """Of the autoscaler of this name."""
    spec = next(one["spec"] for one in yaml.safe_load_all(manifest.read_text()) if one["metadata"]["name"] == name)
    up, down = spec["behavior"]["scaleUp"], spec["behavior"]["scaleDown"]
    [up_policy], [down_policy] = up["policies"], down["policies"]
    return Policy(
        spec["minReplicas"],
        spec["maxReplicas"],
        spec["metrics"][0]["resource"]["target"]["averageUtilization"] / 100,
        up_policy["value"],
        up_policy["periodSeconds"],
        down_policy["value"],
        down_policy["periodSeconds"],
        down["stabilizationWindowSeconds"],
    )


def most_model_servers(manifest: Path = KEDA_MANIFEST) -> int:
    """How many KEDA may start."""
    return int(yaml.safe_load(manifest.read_text())["spec"]["maxReplicaCount"])


@dataclass
class Autoscaler:
    """Asked every 15 seconds how many replicas there should be."""

    policy: Policy
    _wanted: deque[tuple[float, int]] = field(default_factory=deque)  # recommendations, of the stabilisation window
    _changes: deque[tuple[float, int]] = field(default_factory=deque)  # (when, by how much)

    def replicas(self, now_s: float, current: int, utilization: float) -> int:
        """How many there should be now."""
        wanted = self._recommended(current, utilization)
        self._wanted.append((now_s, wanted))
        while self._wanted[0][0] < now_s - self.policy.down_wait_s:
            self._wanted.popleft()
        if wanted < current:  # only as low as every recommendation of the window was
            wanted = min(current, max(one for _, one in self._wanted))
        allowed = self._within_pace(now_s, current, wanted)
        if allowed != current:
            self._changes.append((now_s, allowed - current))
        return allowed

    def _recommended(self, current: int, utilization: float) -> int:
        ratio = utilization / self.policy.target
        wanted = current if abs(ratio - 1) <= TOLERANCE else math.ceil(current * ratio)
        return min(max(wanted, self.policy.least), self.policy.most)

    def _within_pace(self, now_s: float, current: int, wanted: int) -> int:
        """Percent of what there was at the start of the period."""
        up, down = self.policy.up_percent / 100, self.policy.down_percent / 100
        if wanted > current:
            added = sum(by for when, by in self._changes if by > 0 and when > now_s - self.policy.up_period_s)
            return min(wanted, math.ceil((current - added) * (1 + up)))
        removed = -sum(by for when, by in self._changes if by < 0 and when > now_s - self.policy.down_period_s)
        return max(wanted, min(current, int((current + removed) * (1 - down))))
