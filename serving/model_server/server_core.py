"""The server's core: one source, one manager, and the configuration that joins them. Knows no transport.

After tensorflow_serving/model_servers/server_core.cc.
"""

import logging
import os
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tensorflow_serving.config import model_server_config_pb2

from serving.model_server import model_config
from serving.model_server.labels import VersionLabels
from serving.model_server.loader import Loader
from serving.model_server.manager import AspiredVersionsManager, ManagerOptions, ServableHandle
from serving.model_server.servable import ServableId
from serving.model_server.source import FileSystemStoragePathSource, ServableToMonitor
from serving.model_server.state_monitor import ManagerState, ServableState, ServableStateMonitor
from serving.model_server.status import Code, StatusError, invalid_argument

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServerCoreOptions:
    """What the core needs to know beside the models."""

    manager: ManagerOptions = field(default_factory=ManagerOptions)
    file_system_poll_wait_s: float = 1.0
    allow_version_labels_for_unavailable_models: bool = False
    serve_without_missing_models: bool = False


class ServerCore:
    """Serves the models of a configuration."""

    def __init__(
        self, loader_for: Callable[[ServableId, Path], Loader], options: ServerCoreOptions, stop: threading.Event
    ) -> None:
        """`stop`: once set, whoever waits for models waits no more."""
        self.monitor = ServableStateMonitor()
        self._loader_for = loader_for
        self._config = model_server_config_pb2.ModelServerConfig()
        self._config_lock = threading.Lock()
        self._stop = stop
        self._labels = VersionLabels(
            self.monitor, may_be_unavailable=options.allow_version_labels_for_unavailable_models
        )
        self._manager = AspiredVersionsManager(self.monitor, options.manager, 4 * (os.cpu_count() or 1))
        self._waits_for_missing = not options.serve_without_missing_models
        self._source = FileSystemStoragePathSource(
            self._aspire, options.file_system_poll_wait_s, pass_over_missing=options.serve_without_missing_models
        )

    def handle(self, model_spec: Any) -> ServableHandle:
        """Borrow the servable that a ModelSpec names."""
        if not model_spec.name:
            raise invalid_argument("ModelSpec has no name specified.")
        choice = model_spec.WhichOneof("version_choice")
        if choice == "version":
            return self._manager.handle(model_spec.name, model_spec.version.value)
        if choice == "version_label":
            version = self._labels.version(model_spec.name, model_spec.version_label)
            return self._manager.handle(model_spec.name, version)
        return self._manager.handle(model_spec.name)

    def reload(self, config: model_server_config_pb2.ModelServerConfig) -> None:
        """Serve another configuration; returns when its new models are available.

        Raises:
            StatusError: the configuration is refused, or a new model did not become available.
            WaitCancelled: the server was stopped meanwhile.
        """
        with self._config_lock:
            if not self._accept(config):
                return
            is_first = self._config.WhichOneof("config") is None
            self._config = config
            models = config.model_config_list.config
            self._labels.replace(models)
            _logger.info("Adding/updating models.")
            model_config.check_platforms(models)
            self._serve(models, "servable" if is_first else "model")
            if is_first:
                self._manager.end_initial_load()
            _logger.info("Finished adding/updating models")

    def model_names(self) -> list[str]:
        """The models of the configuration, served or not."""
        return [model.name for model in self._config.model_config_list.config]

    @property
    def is_stopping(self) -> bool:
        """Whether the server was told to stop."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Watch and load no more."""
        self._source.stop()
        self._manager.stop()

    def _accept(self, config: Any) -> bool:
        """Check a new configuration against the old; False when there is nothing to do."""
        old, new = self._config.WhichOneof("config"), config.WhichOneof("config")
        if old is not None and config != self._config and (old, new) != ("model_config_list", "model_config_list"):
            raise StatusError(
                Code.FAILED_PRECONDITION,
                "Cannot transition to requested config. It is only legal to transition from one ModelConfigList to "
                "another.",
            )
        if new is None:
            _logger.info("Taking no action for empty config.")
            return False
        if new != "model_config_list":
            raise invalid_argument("Missing custom_model_config_loader in ServerCore Options")
        model_config.check_model_configs(config.model_config_list.config)
        model_config.check_no_model_changes_platform(
            self._config.model_config_list.config, config.model_config_list.config
        )
        return True

    def _serve(self, models: Any, noun: str) -> None:
        """Point the source at the models, wait for the new ones, fail if one of them failed."""
        for model in models:
            _logger.info(" (Re-)adding model: %s", model.name)
        new = {model.name for model in models} - self._source.model_names()
        mark = self.monitor.events
        self._source.update([ServableToMonitor(m.name, Path(m.base_path), m.model_version_policy) for m in models])
        if not self._waits_for_missing:
            new -= self._missing(new)
        reached = self.monitor.wait_until_settled(new, since=mark, cancelled=self._stop.is_set)
        failed = {id_: state for id_, state in reached.items() if state.state is not ManagerState.AVAILABLE}
        if failed:
            raise StatusError(Code.UNKNOWN, _did_not_become_available(failed, noun))

    def _missing(self, names: Collection[str]) -> set[str]:
        missing = self._source.without_versions().intersection(names)
        for name in sorted(missing):
            _logger.warning("Not waiting for model %s: it has no version to serve yet", name)
        return missing

    def _aspire(self, name: str, versions: Mapping[int, Path]) -> None:
        """The source adapter: paths become loaders."""
        self._manager.set_aspired_versions(
            name, {v: self._loader_for(ServableId(name, v), path) for v, path in versions.items()}
        )


def _did_not_become_available(failed: Mapping[ServableId, ServableState], noun: str) -> str:
    items = "".join(
        f"{{{id_}{f' due to error: {state.error}' if state.error else ''}}}, " for id_, state in sorted(failed.items())
    )
    return f"{len(failed)} {noun}(s) did not become available: {{{items}}}"
