import pytest
from flask import Response

from serving.gateway.plain_answers import plain_answer
from serving.gateway.refusals import MALFORMED, answer_bytes
from serving.gateway.security_headers import HEADERS, HEADERS_OVER_TLS, add_security_headers

BOTH = pytest.mark.parametrize(("tls", "headers"), [(False, HEADERS), (True, HEADERS_OVER_TLS)])


@BOTH
def test_every_answer_gets_them(tls, headers):
    response = Response()
    add_security_headers(response, tls=tls)

    assert {name: response.headers[name] for name in headers} == headers


def test_what_a_view_says_itself_stays():
    response = Response(headers={"Cache-Control": "no-cache"})
    add_security_headers(response, tls=False)

    assert response.headers.getlist("Cache-Control") == ["no-cache"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"


@BOTH
def test_who_is_refused_before_any_view_gets_them_too(tls, headers):
    head, _, _ = answer_bytes(MALFORMED, tls=tls).partition(b"\r\n\r\n")

    for name, value in headers.items():
        assert f"{name}: {value}".encode() in head.split(b"\r\n")


@BOTH
def test_so_does_who_is_answered_without_a_view(tls, headers):
    answer, _ = plain_answer(b"{}", "id", takes_gzip=False, is_last=False, tls=tls)

    for name, value in headers.items():
        assert f"{name}: {value}".encode() in answer.split(b"\r\n")


def test_browsers_are_told_to_come_by_tls_for_a_year_and_only_over_tls():
    response, in_the_clear = Response(), Response()
    add_security_headers(response, tls=True)
    add_security_headers(in_the_clear, tls=False)

    assert response.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert "Strict-Transport-Security" not in in_the_clear.headers
