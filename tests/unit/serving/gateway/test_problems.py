import pytest
from werkzeug.exceptions import BadRequest, MethodNotAllowed, RequestURITooLarge

from serving import errors
from serving.errors import (
    InvalidInput,
    ModelNotReady,
    ModelServerFault,
    ModelServerUnreachable,
    ServingError,
    Violation,
    WrongTask,
)
from serving.gateway.problems import BUG, HTTP_KINDS, KINDS, problem_of

ERRORS = {cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, ServingError)}


def test_every_error_of_ours_has_its_status():
    assert set(KINDS) == ERRORS - {ServingError}


def test_no_two_kinds_share_a_type():
    slugs = [kind.slug for kind in (*KINDS.values(), *HTTP_KINDS.values(), BUG)]

    assert len(set(slugs)) == len(slugs)


def test_the_document_is_that_of_rfc_9457():
    problem = problem_of(WrongTask("houses", "regression", "classify"))

    assert problem.document("r1") == {
        "type": "urn:atelier:problem:wrong-task",
        "title": "The model does another task",
        "status": 400,
        "detail": "model 'houses' does regression, so it does not classify",
        "request_id": "r1",
    }


def test_an_invalid_input_lists_its_violations():
    one, two = Violation("/top_k", "too large"), Violation("/instances", "missing")

    assert problem_of(InvalidInput((one,))).detail == "/top_k: too large"
    assert problem_of(InvalidInput((one, two))).document("r1")["errors"] == (
        {"pointer": "/top_k", "detail": "too large"},
        {"pointer": "/instances", "detail": "missing"},
    )


@pytest.mark.parametrize("error", [ModelNotReady("houses", "loading"), ModelServerUnreachable("away")])
def test_what_passes_says_when_to_try_again(error):
    problem = problem_of(error)

    assert problem.kind.status == 503
    assert ("Retry-After", "1") in problem.headers


@pytest.mark.parametrize("error", [ModelServerFault("secret op name"), ZeroDivisionError("secret value")])
def test_what_the_caller_can_do_nothing_about_keeps_its_insides(error):
    problem = problem_of(error)

    assert problem.kind.status in (500, 502)
    assert "secret" not in str(problem.document("r1"))


def test_a_wrong_method_names_the_right_ones():
    problem = problem_of(MethodNotAllowed(["POST", "OPTIONS"]))

    assert problem.detail == "this path takes POST"
    assert ("Allow", "OPTIONS, POST") in problem.headers


def test_an_http_error_keeps_its_status_and_words():
    assert problem_of(BadRequest("no JSON")).document("r1")["detail"] == "no JSON"
    assert problem_of(RequestURITooLarge()).kind.status == 414
