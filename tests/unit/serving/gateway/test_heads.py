"""What HTTP/1.1 asks of a request's head beyond what gunicorn's parser sees to."""

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import InvalidHeader, UnsupportedTransferCoding

from serving.gateway.heads import read_head


def read(*fields: str, line: str = "GET /a HTTP/1.1"):
    head = "\r\n".join((line, *fields, "", "")).encode("latin-1")
    return read_head(Config(), head, ("127.0.0.1", 1), 1)


@pytest.mark.parametrize(
    "host",
    [
        "gateway",
        "gateway.example:8080",
        "a_service.my-namespace.svc",
        "127.0.0.1:80",
        "[::1]:8080",
        "[::ffff:127.0.0.1]",
        "[v1.a:b]",
        "m%C3%BCnchen",
        "gateway:",
        "",
    ],
)
def test_a_host_is_a_name_or_an_address_perhaps_with_a_port_or_nothing(host):
    assert ("HOST", host) in read(f"Host: {host}").headers


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize(
    "host", ["a b/", "a/b", "a@b", "a:b", "a:1:2", "::1", "[::1", "[gateway]", "a%2", "münchen", "a,b/", "http://a"]
)
def test_what_is_no_host_is_refused(host, version):
    with pytest.raises(InvalidHeader):
        read(f"Host: {host}", line=f"GET /a HTTP/{version}")


def test_only_http_1_0_goes_without_a_host():
    assert read(line="GET /a HTTP/1.0").version == (1, 0)
    with pytest.raises(InvalidHeader):
        read()
    with pytest.raises(InvalidHeader):
        read(line="GET http://gateway/a HTTP/1.1")


def test_a_newer_http_1_is_read_as_1_1():
    assert read("Host: gateway", line="GET /a HTTP/1.2").version == (1, 1)


@pytest.mark.parametrize(
    ("target", "path"),
    [("http://gateway:1", "/"), ("http://gateway?a=b", "/"), ("http://gateway/a", "/a"), ("/", "/"), ("//", "//")],
)
def test_an_absolute_target_without_a_path_asks_for_the_root(target, path):
    assert read("Host: gateway", line=f"GET {target} HTTP/1.1").path == path


@pytest.mark.parametrize("coding", ["gzip, chunked", "deflate,chunked", "identity, chunked", "secret"])
def test_no_other_transfer_coding_than_chunked_is_taken(coding):
    with pytest.raises(UnsupportedTransferCoding):
        read("Host: gateway", f"Transfer-Encoding: {coding}")


def test_transfer_codings_in_fields_of_their_own_are_the_same_list():
    with pytest.raises(UnsupportedTransferCoding):
        read("Host: gateway", "Transfer-Encoding: gzip", "Transfer-Encoding: chunked")


def test_chunked_is_taken_however_it_is_written():
    assert read("Host: gateway", "Transfer-Encoding: Chunked").headers[-1] == ("TRANSFER-ENCODING", "Chunked")
