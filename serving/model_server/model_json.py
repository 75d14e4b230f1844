"""Status and metadata replies as JSON: protobuf's own printer, 1-space indent, every field. Pure."""

import json
from typing import Any

from google.protobuf.json_format import MessageToDict, MessageToJson
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from serving.model_server.model_status import SIGNATURE_DEF


def status_document(response: get_model_status_pb2.GetModelStatusResponse) -> bytes:
    """The reply to GET /v1/models/NAME."""
    text: str = MessageToJson(
        response, preserving_proto_field_name=True, always_print_fields_with_no_presence=True, indent=1
    )
    return (text + "\n").encode()


def metadata_document(response: get_model_metadata_pb2.GetModelMetadataResponse) -> bytes:
    """The reply to GET /v1/models/NAME/metadata; the Any in it is unpacked, without its type URL."""
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata[SIGNATURE_DEF].Unpack(signatures)
    document = {"model_spec": _members(response.model_spec), "metadata": {SIGNATURE_DEF: _members(signatures)}}
    return (json.dumps(document, indent=1) + "\n").encode()


def _members(message: Any) -> dict[str, Any]:
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
