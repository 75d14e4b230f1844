"""GET /readyz and /readyz/<model>: whether each model can answer now. Ours; stands before the REST application.

TensorFlow Serving has no such path: its ports say that the first load is done, whatever became of a model since.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import unquote

from serving.model_server.rest_target import target_of
from serving.model_server.server_core import ServerCore
from serving.model_server.state_monitor import ManagerState, ServableState

PATH = "/readyz"

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class ReadinessPath:
    """Answers under PATH and leaves every other path to the application.

    200 where all the models (or the one that is named) have an available version, 503 where not, and once the server
    is told to stop; 404 for a model that the configuration does not have.
    """

    def __init__(self, core: ServerCore, application: Application) -> None:
        self._core = core
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        path = target_of(environ).partition("?")[0]
        if path != PATH and not path.startswith(f"{PATH}/"):
            return self._application(environ, start_response)
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return _reply(start_response, "405 Method Not Allowed", {"error": f"{PATH} is read with GET"})
        models = {name: describe(self._core.monitor.versions(name)) for name in self._core.model_names()}
        name = unquote(path.removeprefix(PATH).removeprefix("/"))
        if name and name not in models:
            return _reply(start_response, "404 Not Found", {"error": f"no model {name} is configured"})
        document = summary({name: models[name]} if name else models, is_stopping=self._core.is_stopping)
        return _reply(start_response, "200 OK" if document["ready"] else "503 Service Unavailable", document)


def summary(models: Mapping[str, Any], *, is_stopping: bool) -> dict[str, Any]:
    """The document: ready means that every model is, and that the server goes on."""
    is_ready = not is_stopping and all(model["ready"] for model in models.values())
    return {"ready": is_ready, "stopping": is_stopping, "models": models}


def describe(versions: Mapping[int, ServableState]) -> dict[str, Any]:
    """One model: whether a version answers, and what became of each, newest first."""
    return {
        "ready": any(known.state is ManagerState.AVAILABLE for known in versions.values()),
        "versions": {str(version): _version(known) for version, known in versions.items()},
    }


def _version(known: ServableState) -> dict[str, str]:
    return {"state": known.state.name} | ({"error": str(known.error)} if known.error else {})


def _reply(start_response: Callable[..., Any], status: str, document: Mapping[str, Any]) -> Iterable[bytes]:
    body = (json.dumps(document) + "\n").encode()
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
