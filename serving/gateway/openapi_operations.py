"""Pieces that every operation of the OpenAPI description is made of."""

from typing import Any

from serving.gateway.openapi_schemas import Schema

Json = dict[str, Any]

# Headers that any call but a probe may have; the components have them.
HEADERS: tuple[Json, ...] = (
    {"$ref": "#/components/parameters/RequestId"},
    {"$ref": "#/components/parameters/Timeout"},
)


def json_answer(description: str, schema: Schema) -> Json:
    """A response object."""
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def path_parameter(name: str, schema: Schema, description: str = "") -> Json:
    """A part of the path that the client fills in."""
    parameter: Json = {"name": name, "in": "path", "required": True, "schema": schema}
    return parameter | ({"description": description} if description else {})
