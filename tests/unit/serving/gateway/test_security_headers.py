from flask import Response

from serving.gateway.refusals import MALFORMED, answer_bytes
from serving.gateway.security_headers import HEADERS, add_security_headers


def test_every_answer_gets_them():
    response = Response()
    add_security_headers(response)

    assert {name: response.headers[name] for name in HEADERS} == HEADERS


def test_what_a_view_says_itself_stays():
    response = Response(headers={"Cache-Control": "no-cache"})
    add_security_headers(response)

    assert response.headers.getlist("Cache-Control") == ["no-cache"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_who_is_refused_before_any_view_gets_them_too():
    head, _, _ = answer_bytes(MALFORMED).partition(b"\r\n\r\n")

    for name, value in HEADERS.items():
        assert f"{name}: {value}".encode() in head.split(b"\r\n")
