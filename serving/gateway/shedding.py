"""Refuses predictions at the worker's loop while its threads have all they take. Knows HTTP's head, no body, no model.

What a refusal costs is missing to those who are answered. Through the application it would be a third of an answer,
through gunicorn's parser a tenth; so the usual case, a request that came whole, is recognised by its bytes.
"""

import re
from functools import cache

from prometheus_client import Counter

from serving.errors import Overloaded
from serving.gateway.access_log import Answered, log_answered
from serving.gateway.access_log import log as access_log
from serving.gateway.admission import FULL
from serving.gateway.dates import http_date
from serving.gateway.incoming import Received
from serving.gateway.parts import Parts
from serving.gateway.predictor import TASK_OF_VERB
from serving.gateway.problems import problem_of
from serving.gateway.refusals import answer_bytes
from serving.gateway.request_ids import request_id

# The paths of both protocols that ask for a prediction.
_MODEL = r"/v1/models/(?P<model>[^/:? ]+)(?:/(?:versions|labels)/[^/:? ]+)?"
_TENSORS = r"/v2/models/(?P<tensor_model>[^/? ]+)(?:/versions/[^/? ]+)?"
PATH = rf"{_MODEL}:(?P<verb>{'|'.join(TASK_OF_VERB)})|{_TENSORS}/(?P<tensor_verb>infer)"
PREDICTION = re.compile(PATH)
WHOLE = re.compile(rf"POST (?P<path>{PATH})(?:\?[^ ]*)? HTTP/1\.1(?P<fields>(?:\r\n[^\r\n]+)+)\r\n\r\n".encode())
# Where there is more of these than a length, gunicorn's parser has to look.
TELLING = re.compile(rb"\r\n(content-length|transfer-encoding|expect|connection|upgrade|x-request-id):[ \t]*([^\r\n]*)")

OVERLOADED = problem_of(Overloaded(FULL))
_NO_ID = "0" * len(request_id(""))


class Shedding:
    """One a worker, used by its loop alone."""

    def __init__(self, parts: Parts) -> None:
        self._offers = parts.offers
        self._metrics = parts.metrics
        self._series = cache(self._looked_up)
        self._tls = parts.settings.speaks_tls
        self._date = ""
        self._answer = b""

    def refuse(self, received: Received) -> bytes | None:
        """The answer to a request; None where it asks for no prediction, and costs little."""
        request = received.message
        asked = PREDICTION.fullmatch(request.path)
        if request.method != "POST" or asked is None:
            return None
        identifier = request_id(next((value for name, value in request.headers if name == "X-REQUEST-ID"), ""))
        if not self._count(asked["model"] or asked["tensor_model"], asked["verb"] or asked["tensor_verb"], identifier):
            return None
        return answer_bytes(OVERLOADED, identifier, tls=self._tls, is_last=received.is_last)

    def refuse_bytes(self, received: bytes) -> bytes | None:
        """The answer to bytes that are one whole prediction request and nothing else; None where that is not sure."""
        asked = WHOLE.match(received)
        if asked is None:
            return None
        match TELLING.findall(asked["fields"].lower()):
            case [(b"content-length", length)] if length.isdigit() and asked.end() + int(length) == len(received):
                identifier = request_id("")
                model, verb = asked["model"] or asked["tensor_model"], asked["verb"] or asked["tensor_verb"]
                if self._count(model.decode("latin-1"), verb.decode(), identifier):
                    return self._answer_of_this_second().replace(_NO_ID.encode(), identifier.encode())
        return None

    def _answer_of_this_second(self) -> bytes:
        """Without an id: to write a whole one takes longer than the rest of a refusal."""
        if self._date != (date := http_date()):
            self._date, self._answer = date, answer_bytes(OVERLOADED, _NO_ID, tls=self._tls, is_last=False)
        return self._answer

    def _count(self, model: str, verb: str, identifier: str) -> bool:
        """Count and log a refusal, unless there is no such model: that is for the application to say."""
        if model not in self._offers.watches:
            return False
        requests, refusals = self._series(model, verb)
        requests.inc()
        refusals.inc()
        if not access_log.disabled:
            log_answered(Answered(identifier, f"POST {model}:{verb}", verb, "503", 0.0, model))
        return True

    def _looked_up(self, model: str, verb: str) -> tuple[Counter, Counter]:
        """A model's series, of requests and of refusals: to look them up takes longer than to count."""
        requests = self._metrics.requests.labels(model, "", verb, "503")
        return requests, self._metrics.refusals.labels(model, OVERLOADED.kind.slug)
