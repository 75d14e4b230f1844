import pytest

from serving import errors
from serving.errors import InvalidInput, ModelNotReady, ServingError, UnknownModel, Violation, WrongTask


def every_error() -> list[type[ServingError]]:
    return [cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, ServingError)]


def test_the_picture_at_the_top_shows_every_error():
    missing = [cls.__name__ for cls in every_error() if cls.__name__ not in (errors.__doc__ or "")]

    assert missing == []


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (InvalidInput((Violation("/instances/0", "expected a, got b"),)), "/instances/0: expected a, got b"),
        (WrongTask("houses", "regression", "classify"), "model 'houses' does regression, so it does not classify"),
        (UnknownModel("cars", "no such model"), "no such model"),
        (ModelNotReady("houses", "it is loading"), "model 'houses' is not on offer: it is loading"),
    ],
)
def test_errors_speak_in_sentences(error, message):
    assert message == str(error)
