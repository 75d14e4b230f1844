"""Version labels: names that a configuration gives to versions. The rules of ServerCore::UpdateModelVersionLabelMap."""

from collections.abc import Mapping
from typing import Any

from serving.model_server.state_monitor import ManagerState, ServableStateMonitor
from serving.model_server.status import Code, StatusError, invalid_argument


class VersionLabels:
    """Which version each label of each model means now."""

    def __init__(self, monitor: ServableStateMonitor, *, may_be_unavailable: bool) -> None:
        """`may_be_unavailable`: a label not in use may point at a version that is not loaded (yet)."""
        self._monitor = monitor
        self._may_be_unavailable = may_be_unavailable
        self._versions: Mapping[str, Mapping[str, int]] | None = None

    def version(self, model: str, label: str) -> int:
        """The version that a label means."""
        if self._versions is None:
            raise StatusError(Code.UNAVAILABLE, f"Model labels does not init yet.{label}")
        try:
            return self._versions[model][label]
        except KeyError:
            raise invalid_argument(f"Unrecognized servable version label: {label}") from None

    def replace(self, models: Any) -> None:
        """Take over all labels of a new configuration, or none if one of them may not be given."""
        for model in models:
            for label, version in model.version_labels.items():
                self._check(model.name, label, version)
        self._versions = {model.name: dict(model.version_labels) for model in models}

    def _check(self, model: str, label: str, version: int) -> None:
        current = (self._versions or {}).get(model, {}).get(label, version)
        if self._may_be_unavailable and current == version:
            return
        state = self._monitor.versions(model).get(version)
        if state is None or state.state is not ManagerState.AVAILABLE:
            raise StatusError(
                Code.FAILED_PRECONDITION,
                f"Request to assign label to version {version} of model {model}, which is not currently available "
                "for inference",
            )
