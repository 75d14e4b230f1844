import gzip

import pytest
from flask import Request, Response
from werkzeug.test import EnvironBuilder

from serving.gateway.compression import MIN_BYTES, compress

LONG = b"0.5, " * MIN_BYTES


def answer(accept: str | None, data: bytes = LONG, mimetype: str = "application/json") -> Response:
    headers = {} if accept is None else {"Accept-Encoding": accept}
    response = Response(data, mimetype=mimetype)
    compress(Request(EnvironBuilder(headers=headers).get_environ()), response)
    return response


@pytest.mark.parametrize("accept", ["gzip", "br;q=1, gzip;q=0.5", "*"])
def test_a_long_answer_is_deflated_for_a_client_that_takes_it(accept):
    response = answer(accept)

    assert (response.headers["Content-Encoding"], response.headers["Vary"]) == ("gzip", "Accept-Encoding")
    assert gzip.decompress(response.data) == LONG
    assert int(response.headers["Content-Length"]) == len(response.data) < len(LONG)


@pytest.mark.parametrize("accept", [None, "", "identity", "br", "gzip;q=0", "*;q=0"])
def test_a_client_that_does_not_take_it_gets_it_plain(accept):
    response = answer(accept)

    assert (response.data, response.headers["Vary"]) == (LONG, "Accept-Encoding")
    assert "Content-Encoding" not in response.headers


@pytest.mark.parametrize(("data", "mimetype"), [(LONG[: MIN_BYTES - 1], "application/json"), (LONG, "image/png")])
def test_what_would_gain_nothing_stays_as_it_is(data, mimetype):
    assert answer("gzip", data, mimetype).data == data
