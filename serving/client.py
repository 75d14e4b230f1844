"""A small typed client of the gateway, over HTTP or gRPC by the URL it is given. No TensorFlow, and over HTTP no NumPy.

    with Client("http://127.0.0.1:8080") as client:  # or https://…, grpc://127.0.0.1:8081, grpcs://…
        answer = client.predict("fashion", [Path("shoe.png")])

Over HTTP one kept-open connection a client: not for sharing between threads. gRPC is imported only where a URL asks for
it: the supervisor, which forks, uses this client too.
"""

import random
import time
import urllib.parse
import uuid
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from serving import contract
from serving.client_http import HttpTransport
from serving.client_instances import plain, plain_instances
from serving.client_transport import Answer, Call, Prediction, ProblemError, Tls, Transport, refusal
from serving.contract import ModelContract
from serving.errors import InvalidInput

__all__ = ["Answer", "Client", "Prediction", "ProblemError", "Tls"]

# Waiting exactly as long as everybody else who was refused would bring all of them back at the same moment.
JITTER = 0.25

T = TypeVar("T")


class Client:
    """Talks to one gateway. Use as a context manager, or close it."""

    def __init__(
        self,
        url: str,
        timeout_s: float = 30.0,
        *,
        retries: int = 0,
        api_key: str | None = None,
        tls: Tls = Tls(),  # noqa: B008 (it cannot change)
    ) -> None:
        """Nothing is sent yet.

        Args:
            timeout_s: for one call, retries and waiting included. The gateway is told, and stops working on it then.
            retries: how often a call is asked again that the gateway refused for now, after the time it asks for. None
                by default: who calls in a loop of their own would multiply them.
            api_key: shown with every call.
        """
        self._transport = _transport(url, api_key, tls)
        self._timeout_s, self._retries = timeout_s, retries

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; over HTTP a later call opens a new one."""
        self._transport.close()

    def readiness(self) -> tuple[bool, dict[str, Any]]:
        """Whether every model is on offer, and the document that says why not."""
        return self._transport.readiness(self._timeout_s)

    def models(self) -> dict[str, Any]:
        """The configured models, with versions and states."""
        return self._patiently(self._transport.models, self._timeout_s)

    def contract(self, model: str, version: int | str | None = None) -> ModelContract:
        """What the version on offer promises. A version is a number or a label."""
        text = self._patiently(lambda left_s: self._transport.contract(model, version, left_s), self._timeout_s)
        return contract.from_json(text)

    def predict(self, model: str, instances: Sequence[Any], **options: Any) -> Answer:
        """Predictions for raw instances, as the model's contract describes them.

        Args:
            instances: images, each a path or the bytes of a PNG or JPEG file, or the pixels as bytes, (nested) lists or
                a NumPy array; or houses, each an object by feature name or a list in the contract's order.
            options: of `ask`.
        Raises:
            ProblemError: the gateway refused the request or could not answer it.
            OSError, http.client.HTTPException: the gateway could not be reached, or not in time.
        """
        return self.ask("predict", model, instances, **options)

    def classify(self, model: str, instances: Sequence[Any], **options: Any) -> Answer:
        """As predict, of a model that classifies."""
        return self.ask("classify", model, instances, **options)

    def regress(self, model: str, instances: Sequence[Any], **options: Any) -> Answer:
        """As predict, of a model that does regression."""
        return self.ask("regress", model, instances, **options)

    def ask(
        self,
        verb: str,
        model: str,
        instances: Sequence[Any],
        *,
        version: int | str | None = None,
        top_k: int | None = None,
        timeout_s: float | None = None,
        request_id: str | None = None,
    ) -> Answer:
        """Any verb.

        Args:
            version: a number or a label; the newest on offer where it is None.
            top_k: how many of the most probable classes to list.
            timeout_s: for this call.
            request_id: by which the operator finds the call in the gateway's log; random where it is None.
        """
        request_id = request_id or uuid.uuid4().hex
        try:
            call = Call(verb, model, plain_instances(instances), version, plain(top_k, ("top_k",)), request_id)
        except InvalidInput as error:
            raise refusal(error, request_id) from error
        timeout_s = self._timeout_s if timeout_s is None else timeout_s
        return self._patiently(lambda left_s: self._transport.predict(call, left_s), timeout_s)

    def _patiently(self, send: Callable[[float], T], timeout_s: float) -> T:
        """Send, and send again as often as allowed where the gateway said when; never beyond the time given."""
        expires = time.monotonic() + timeout_s
        for retries_left in range(self._retries, -1, -1):
            try:
                return send(max(expires - time.monotonic(), 0.001))
            except ProblemError as refused:
                if refused.retry_after_s is None or not retries_left:
                    raise
                wait_s = refused.retry_after_s * (1 + random.uniform(0, JITTER))  # noqa: S311 (no secret)
                if time.monotonic() + wait_s >= expires:
                    raise
                time.sleep(wait_s)
        raise AssertionError("unreachable")


def _transport(url: str, api_key: str | None, tls: Tls) -> Transport:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https", "grpc", "grpcs") or not parts.hostname:
        raise ValueError(f"expected a URL like http://127.0.0.1:8080 or grpc://127.0.0.1:8081, got {url!r}")
    if parts.scheme in ("http", "https"):
        return HttpTransport(parts, api_key, tls)
    from serving.client_grpc import GrpcTransport

    return GrpcTransport(parts, api_key, tls)
