"""The problem documents of an OpenAPI description, from the HTTP door's own table of them."""

from collections.abc import Iterable
from typing import Any

from serving.gateway.openapi_schemas import Schema, closed_object
from serving.gateway.problems import BUG, HTTP_KINDS, KINDS, Kind, type_of
from serving.gateway.violations import MAX_VIOLATIONS

MEDIA_TYPE = "application/problem+json"
# Of every kind, those that a body or its model's contract has no part in.
WITHOUT_BODY = frozenset({400, 404, 500, 502, 503, 504})
WITH_KEYS = frozenset({401, 429})
# Nobody follows a description and gets this.
NEVER_LISTED = frozenset({405})

HEADERS: dict[int, dict[str, Schema]] = {
    401: {"WWW-Authenticate": {"schema": {"type": "string"}, "description": "Which scheme to use."}},
    429: {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}},
    503: {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}},
}


def problem_responses(*, has_body: bool, keys: bool) -> dict[str, Any]:
    """Status → the response object, of everything that a described call can be refused with."""
    kinds = [kind for kind in _all_kinds() if _is_listed(kind, has_body=has_body, keys=keys)]
    statuses = sorted({kind.status for kind in kinds})
    return {str(status): {"$ref": f"#/components/responses/{status}"} for status in statuses}


def problem_components() -> dict[str, Any]:
    """Status → the response object, for the components."""
    by_status: dict[int, list[Kind]] = {}
    for kind in _all_kinds():
        by_status.setdefault(kind.status, []).append(kind)
    return {str(status): _response(status, kinds) for status, kinds in sorted(by_status.items())}


def oip_responses(*, has_body: bool, keys: bool) -> dict[str, Any]:
    """The same under /v2."""
    statuses = problem_responses(has_body=has_body, keys=keys)
    return {status: {"$ref": f"#/components/responses/{_oip_name(status)}"} for status in statuses}


def oip_components() -> dict[str, Any]:
    """The same under /v2: as the Open Inference Protocol has errors; what is no request at all is still a problem."""
    places = {"type": "array", "items": _place(), "minItems": 1, "maxItems": MAX_VIOLATIONS}
    error = closed_object({"error": {"type": "string"}, "errors": places}, optional=("errors",))
    return {
        _oip_name(status): {**response, "content": {"application/json": {"schema": error}, **response["content"]}}
        for status, response in problem_components().items()
    }


def _oip_name(status: str) -> str:
    return f"oip-{status}"


def _all_kinds() -> Iterable[Kind]:
    return [*KINDS.values(), *HTTP_KINDS.values(), BUG]


def _is_listed(kind: Kind, *, has_body: bool, keys: bool) -> bool:
    if kind.status in WITH_KEYS:
        return keys
    return kind.status not in NEVER_LISTED and (has_body or kind.status in WITHOUT_BODY)


def _response(status: int, kinds: list[Kind]) -> dict[str, Any]:
    titles = list(dict.fromkeys(kind.title for kind in kinds))
    response = {
        "description": ", or: ".join(titles) + ".",
        "content": {MEDIA_TYPE: {"schema": _problem(status, kinds)}},
    }
    return response | ({"headers": HEADERS[status]} if status in HEADERS else {})


def _problem(status: int, kinds: list[Kind]) -> Schema:
    return closed_object(
        {
            "type": {"enum": sorted({type_of(kind) for kind in kinds})},
            "title": {"type": "string"},
            "status": {"const": status},
            "detail": {"type": "string"},
            "request_id": {"type": "string"},
            "errors": {"type": "array", "items": _place(), "minItems": 1, "maxItems": MAX_VIOLATIONS},
            "error": {"type": "string", "description": "The detail, for clients of the Open Inference Protocol."},
        },
        optional=("errors", "error"),
    )


def _place() -> Schema:
    pointer = {"type": "string", "description": "JSON pointer into the body."}
    return closed_object({"pointer": pointer, "detail": {"type": "string"}})
