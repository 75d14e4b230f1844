"""The documents for people that a version carries; the model server gives them, as it does the contract."""

import numpy as np

from serving.contract import CONTRACT_PROBE, DOCUMENTS_SIGNATURE, Document
from serving.errors import ModelNotReady, ModelServerFault, UnknownModel
from serving.gateway.model_server import SignatureRunner, VersionGone
from serving.gateway.predictor import Offer


def read_document(server: SignatureRunner, offer: Offer, name: str, timeout_s: float) -> tuple[Document, bytes]:
    """One document of exactly this version, as UTF-8.

    Raises:
        UnknownModel: the version has none of that name.
        ModelNotReady: the version went away meanwhile.
        ModelServerUnreachable, DeadlineExceeded, ModelServerFault: there is no answer, or not the one promised.
    """
    model, promised = offer.contract.name, {document.name: document for document in offer.contract.documents or ()}
    if name not in promised:
        has = ", ".join(promised) or "none"
        raise UnknownModel(model, f"version {offer.version} of {model!r} has no such document; it has {has}")
    probe = {CONTRACT_PROBE: np.zeros(1, np.int32)}
    try:
        outputs = server.predict(model, offer.version, probe, timeout_s, DOCUMENTS_SIGNATURE)
    except VersionGone as error:
        raise ModelNotReady(model, f"version {offer.version} went away") from error
    texts = outputs.get(name)
    if texts is None or texts.shape != (1,) or not isinstance(texts[0], bytes):
        raise ModelServerFault(f"expected one string in the output {name!r} of the signature {DOCUMENTS_SIGNATURE!r}")
    return promised[name], texts[0]
