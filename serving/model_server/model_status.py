"""GetModelStatus and GetModelMetadata: what is served, and how it is called. Pure translation of what the core knows.

After get_model_status_impl.cc and get_model_metadata_impl.cc.
"""

from collections.abc import Mapping
from typing import Any

from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from serving.model_server.predict import fill_model_spec
from serving.model_server.servable import Servable
from serving.model_server.state_monitor import ServableState
from serving.model_server.status import Code, StatusError, invalid_argument

SIGNATURE_DEF = "signature_def"  # the one metadata field there is


def status_response(spec: Any, versions: Mapping[int, ServableState]) -> get_model_status_pb2.GetModelStatusResponse:
    """The state of one version if the spec names one (a label does not count), else of all.

    Args:
        versions: as the state monitor lists them, newest first.
    """
    if spec.WhichOneof("version_choice") == "version":
        version = spec.version.value
        if version not in versions:
            raise StatusError(Code.NOT_FOUND, f"Could not find version {version} of model {spec.name}")
        versions = {version: versions[version]}
    if not versions:
        raise StatusError(Code.NOT_FOUND, f"Could not find any versions of model {spec.name}")
    response = get_model_status_pb2.GetModelStatusResponse()
    for version, known in versions.items():
        item = response.model_version_status.add(version=version, state=int(known.state))
        item.status.error_code = known.error.code if known.error else Code.OK
        item.status.error_message = known.error.message if known.error else ""
    return response


def check_metadata_fields(fields: Any) -> None:
    """Only `signature_def` can be asked for, and something must be."""
    if not fields:
        raise invalid_argument("GetModelMetadataRequest must specify at least one metadata_field")
    for field in fields:
        if field != SIGNATURE_DEF:
            raise invalid_argument(f"Metadata field {field} is not supported")


def metadata_response(servable: Servable) -> get_model_metadata_pb2.GetModelMetadataResponse:
    """All signatures of a servable."""
    signatures = get_model_metadata_pb2.SignatureDefMap()
    for name, signature in servable.signatures.items():
        signatures.signature_def[name].CopyFrom(signature)
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    fill_model_spec(response.model_spec, servable.id.name, servable.id.version)
    response.metadata[SIGNATURE_DEF].Pack(signatures)
    return response
