"""Answers to what no application sees: whole HTTP/1.1 responses."""

from email.utils import parsedate_to_datetime

import pytest

from serving.gateway import refusals
from serving.gateway.problems import Problem
from serving.gateway.refusals import answer_bytes

PROBLEMS = [problem for problem in vars(refusals).values() if isinstance(problem, Problem)]


def fields(head: bytes) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.kind.slug)
def test_every_refusal_says_when_it_was_made(problem):
    head, _, _ = answer_bytes(problem, tls=False).partition(b"\r\n\r\n")

    assert parsedate_to_datetime(fields(head)["Date"]).tzname() == "UTC"


def test_who_asks_for_the_head_alone_gets_the_same_without_the_body():
    head, _, body = answer_bytes(refusals.TOO_SLOW, "id", tls=False).partition(b"\r\n\r\n")

    alone, _, nothing = answer_bytes(refusals.TOO_SLOW, "id", tls=False, is_head=True).partition(b"\r\n\r\n")

    assert nothing == b""
    assert fields(alone) | {"Date": ""} == fields(head) | {"Date": ""}
    assert fields(alone)["Content-Length"] == str(len(body))
