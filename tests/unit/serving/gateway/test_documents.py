import numpy as np
import pytest

from serving.contract import Document
from serving.errors import ModelNotReady, ModelServerFault, UnknownModel
from serving.gateway.documents import read_document
from serving.gateway.predictor import Offer
from tests.fakes import FakeModelServer, house_contract

REPORT = Document("report", "Report", "text/html")
CONTRACT = house_contract(documents=(REPORT,))
OFFER = Offer(CONTRACT, 1)


@pytest.fixture
def server():
    serving = FakeModelServer(CONTRACT)
    serving.documents["houses", 1] = {"report": "<h1>Grüezi</h1>", "notes": "not promised"}
    return serving


def test_a_document_is_what_the_model_server_gives_of_exactly_this_version(server):
    assert read_document(server, OFFER, "report", timeout_s=1) == (REPORT, "<h1>Grüezi</h1>".encode())
    assert server.calls == [("houses", 1, "documents")]


@pytest.mark.parametrize("name", ["card", "notes"])
def test_what_the_contract_does_not_promise_is_not_asked_for(server, name):
    with pytest.raises(UnknownModel, match="version 1 of 'houses' has no such document; it has report"):
        read_document(server, OFFER, name, timeout_s=1)

    assert server.calls == []


def test_a_contract_from_before_there_were_documents_has_none(server):
    with pytest.raises(UnknownModel, match="it has none"):
        read_document(server, Offer(house_contract(), 1), "report", timeout_s=1)


def test_a_version_that_went_away_is_not_ready(server):
    with pytest.raises(ModelNotReady, match="version 2 went away"):
        read_document(server, Offer(CONTRACT, 2), "report", timeout_s=1)


@pytest.mark.parametrize("texts", [{}, {"report": np.array([1.0])}, {"report": np.array([b"a", b"b"], object)}])
def test_a_model_server_that_gives_something_else_has_failed(texts):
    class Confused(FakeModelServer):
        def predict(self, *_arguments, **_options):
            return texts

    with pytest.raises(ModelServerFault, match="expected one string in the output 'report'"):
        read_document(Confused(CONTRACT), OFFER, "report", timeout_s=1)
