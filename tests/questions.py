"""Good and bad questions, and what every door must say of the bad ones. The models are those of tests/fakes.py."""

import base64
import dataclasses
import math
from typing import Any

import numpy as np

from tests.image_files import empty_png, png

MODELS = ("pictures", "houses", "plain-pictures", "plain-houses", "loading")
MAX_INSTANCES = 3

# What no answer and no log may ever repeat.
SECRET_TEXT, SECRET_NUMBER = "my-secret-value", 987_654_321


@dataclasses.dataclass(frozen=True)
class Question:
    """A question in the words of the domain, and for a bad one the answer that it must get."""

    model: str
    verb: str
    instances: Any = dataclasses.field(default_factory=list)  # JSON
    version: int | None = None
    top_k: Any = None
    label: str | None = None
    reason: str = "INVALID_INPUT"
    faults: tuple[tuple[str, str], ...] = ()  # JSON pointer and words
    words: str = ""  # where no place can be blamed


@dataclasses.dataclass(frozen=True)
class TensorQuestion:
    """A question in tensors: name, datatype, shape, values in row-major order."""

    model: str
    inputs: tuple[tuple[str, str, tuple[int, ...], list[Any]], ...]
    outputs: tuple[str, ...] = ()
    version: str = ""
    reason: str = "INVALID_INPUT"
    faults: tuple[tuple[str, str], ...] = ()
    words: str = ""


LEFT, RIGHT = [9, 0, 0, 255, 0, 0], [0, 0, 255, 0, 0, 0]
HOUSE = {"rooms": 3, "age": 4}


def base64_of(file: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(file).decode()}


FILE = base64_of(png(np.array(LEFT, np.uint8).reshape(2, 3)))


def picture(*instances: Any, **more: Any) -> Question:
    return Question("pictures", "classify", list(instances), **more)


def house(*instances: Any, **more: Any) -> Question:
    return Question("houses", "regress", list(instances), **more)


GOOD = {
    "a picture": picture(LEFT),
    "pictures": picture(LEFT, RIGHT, [255] * 6),
    "a picture that is evenly bright": Question("plain-pictures", "classify", [[1] * 6]),
    "a picture with top_k": picture(LEFT, top_k=2),
    "all classes": Question("plain-pictures", "classify", [LEFT, RIGHT], top_k=3),
    "a picture of one version": picture(LEFT, version=1),
    "a file": picture(RIGHT, FILE),
    "a large file": Question(
        "plain-pictures", "classify", [base64_of(png(np.arange(60_000, dtype=np.uint8).reshape(200, 300)))]
    ),
    "a house": house(HOUSE),
    "houses": house(HOUSE, {"age": 0.1, "rooms": 0}, {"age": 400, "rooms": -1e-3}),
    "a plain house": Question("plain-houses", "regress", [{"rooms": 0.973, "age": 0}]),
    "a house of one version": house(HOUSE, version=2),
    "a house of a label": house(HOUSE, label="stable"),
    "a picture of a label": picture(LEFT, label="stable"),
}

PIXEL = "expected an integer from 0 to 255, got "
PIXELS = "expected a 2 x 3 array of integers from 0 to 255, nested or flat, got "
NUMBER = "expected a number, got "
FINITE = "expected a finite 32-bit number, got one that is not"
ROW = "expected 2 numbers (rooms, age), got "
TOP_K = "expected an integer from 1 to 3, got "


def at(pointer: str, words: str) -> dict[str, Any]:
    return {"faults": ((pointer, words),)}


def pixel(value: Any, kind: str) -> Question:
    """A picture of which one pixel is wrong."""
    return picture(LEFT, [0, 0, 0, 0, value, 0], **at("/instances/1/4", PIXEL + kind))


def feature(value: Any, words: str) -> Question:
    """A house of which one feature is wrong."""
    return house(HOUSE, {"rooms": 1, "age": value}, **at("/instances/1/age", words))


BAD = {
    # how many
    "no instances": picture(**at("/instances", "expected at least one instance, got an empty array")),
    "too many instances": picture(
        *[LEFT] * 4, **at("/instances", "expected at most 3 instances in one request, got 4")
    ),
    "too many houses": house(*[HOUSE] * 5, **at("/instances", "expected at most 3 instances in one request, got 5")),
    # a picture's form
    "a pixel short": picture(LEFT, LEFT[1:], **at("/instances/1", PIXELS + "a flat array of 5")),
    "a pixel too many": picture([*LEFT, 0], **at("/instances/0", PIXELS + "a flat array of 7")),
    "no pixels": picture([], **at("/instances/0", PIXELS + "an empty array")),
    "a house for a picture": picture(
        LEFT,
        HOUSE,
        **at("/instances/1", 'expected an array of pixels or {"b64": "<PNG or JPEG>"}, got an object of other members'),
    ),
    "null for a picture": picture(None, **at("/instances/0", PIXELS + "null")),
    "a text for a picture": picture(SECRET_TEXT, **at("/instances/0", PIXELS + "a string")),
    "a number for a picture": picture(SECRET_NUMBER, **at("/instances/0", PIXELS + "a number")),
    "a truth for a picture": picture(True, **at("/instances/0", PIXELS + "a boolean")),
    "a row short": picture([[0, 0, 0]], **at("/instances/0", "expected an array of 2, got one of 1")),
    "a row too many": picture([[0, 0, 0]] * 3, **at("/instances/0", "expected an array of 2, got one of 3")),
    "a short row": picture([[0, 0, 0], [0, 0]], **at("/instances/0/1", "expected an array of 3, got one of 2")),
    "a number for a row": picture(
        [[0, 0, 0], SECRET_NUMBER], **at("/instances/0/1", "expected an array of 3, got a number")
    ),
    "a row nested deeper": picture([[0, 0, 0], [0, [SECRET_NUMBER], 0]], **at("/instances/0/1/1", PIXEL + "an array")),
    # its pixels
    "a large pixel": pixel(256, "a larger number"),
    "a very large pixel": pixel(SECRET_NUMBER, "a larger number"),
    "a pixel beyond 64 bits": pixel(10**18 * SECRET_NUMBER, "a larger number"),
    "a pixel beyond 32-bit numbers": pixel(1e39, "a larger number"),
    "a negative pixel": pixel(-1, "a smaller number"),
    "a very negative pixel": pixel(-SECRET_NUMBER, "a smaller number"),
    "a pixel that is a fraction": pixel(0.5, "a fraction"),
    "a pixel that is a small fraction": pixel(1e-9, "a fraction"),
    "a text for a pixel": pixel(SECRET_TEXT, "a string"),
    "a number in a text for a pixel": pixel(str(SECRET_NUMBER), "a string"),
    "a truth for a pixel": pixel(True, "a boolean"),
    "null for a pixel": pixel(None, "null"),
    "an array for a pixel": pixel([SECRET_NUMBER], "an array"),
    "an object for a pixel": pixel({"secret": SECRET_TEXT}, "an object"),
    "two wrong pixels": picture(
        [0, 0, 0, 0, -1, 256],
        faults=(("/instances/0/4", PIXEL + "a smaller number"), ("/instances/0/5", PIXEL + "a larger number")),
    ),
    # files
    "no file": picture(
        FILE, base64_of(SECRET_TEXT.encode()), **at("/instances/1", "expected a PNG or JPEG image, got bytes that are")
    ),
    "an empty file": picture(base64_of(b""), **at("/instances/0", "expected a PNG or JPEG image, got bytes that are")),
    "half a file": picture(
        base64_of(base64.b64decode(FILE["b64"])[:-30]), **at("/instances/0", "expected a whole PNG or JPEG image")
    ),
    "a huge file": picture(base64_of(empty_png(30_000, 30_000)), **at("/instances/0", "at most 16777216 pixels")),
    "no base64": picture({"b64": f"?{SECRET_TEXT}"}, **at("/instances/0/b64", "got a string that is not base64")),
    "a number for base64": picture({"b64": SECRET_NUMBER}, **at("/instances/0/b64", "in base64, got a number")),
    "a file and more": picture(FILE | {"secret": SECRET_TEXT}, **at("/instances/0", "got an object of other members")),
    # a house's form
    "null for a house": house(
        HOUSE, None, **at("/instances/1", "expected an object by feature name or an array of 2 numbers, got null")
    ),
    "a text for a house": house(SECRET_TEXT, **at("/instances/0", "an array of 2 numbers, got a string")),
    "a number short": house([1], **at("/instances/0", ROW + "an array of 1")),
    "a number too many": house([1, 2, SECRET_NUMBER], **at("/instances/0", ROW + "an array of 3")),
    "no features": house(
        {},
        faults=(
            ("/instances/0/rooms", "expected a number, but the feature is missing"),
            ("/instances/0/age", "expected a number, but the feature is missing"),
        ),
    ),
    "a missing feature": house({"rooms": 3}, **at("/instances/0/age", "expected a number, but the feature is missing")),
    "an unknown feature": house(
        HOUSE | {"a/b~c": SECRET_NUMBER}, **at("/instances/0/a~1b~0c", "unknown feature; expected only rooms, age")
    ),
    "a long unknown feature": house(
        HOUSE | {"x" * 100: SECRET_NUMBER},
        **at(f"/instances/0/{'x' * 64}…", "unknown feature; expected only rooms, age"),
    ),
    # its numbers
    "a feature beyond 32 bits": feature(1e39, FINITE),
    "features beyond 32 bits": house(
        {"rooms": 1e39, "age": -1e300}, faults=(("/instances/0/rooms", FINITE), ("/instances/0/age", FINITE))
    ),
    "a feature that is not a number": feature(math.nan, FINITE),
    "an endless feature": feature(-math.inf, FINITE),
    "a text for a feature": feature(SECRET_TEXT, NUMBER + "a string"),
    "a number in a text for a feature": feature(str(SECRET_NUMBER), NUMBER + "a string"),
    "null for a feature": feature(None, NUMBER + "null"),
    "a truth for a feature": feature(False, NUMBER + "a boolean"),
    "an array for a feature": feature([SECRET_NUMBER], NUMBER + "an array"),
    "an object for a feature": feature({"secret": SECRET_TEXT}, NUMBER + "an object"),
    "a text in a row": house([SECRET_TEXT, 1], **at("/instances/0/0", NUMBER + "a string")),
    # top_k
    "top_k 0": picture(LEFT, top_k=0, **at("/top_k", TOP_K + "a smaller number")),
    "top_k 4": picture(LEFT, top_k=4, **at("/top_k", TOP_K + "a larger number")),
    "top_k -1": picture(LEFT, top_k=-1, **at("/top_k", TOP_K + "a smaller number")),
    "a text for top_k": picture(LEFT, top_k=SECRET_TEXT, **at("/top_k", TOP_K + "a string")),
    "a fraction for top_k": picture(LEFT, top_k=1.5, **at("/top_k", TOP_K + "a number")),
    "a truth for top_k": picture(LEFT, top_k=True, **at("/top_k", TOP_K + "a boolean")),
    # which model
    "an unknown model": Question(
        "cars", "classify", [LEFT], reason="UNKNOWN_MODEL", words=f"no such model; there are {', '.join(MODELS)}"
    ),
    "an unknown version": picture(LEFT, version=7, reason="UNKNOWN_MODEL", words="model 'pictures' has no version 7"),
    "version 0": house(HOUSE, version=0, reason="UNKNOWN_MODEL", words="model 'houses' has no version 0"),
    "the largest version": house(
        HOUSE, version=2**63 - 1, reason="UNKNOWN_MODEL", words=f"model 'houses' has no version {2**63 - 1}"
    ),
    "an unknown label": picture(
        LEFT, label="canary", reason="UNKNOWN_MODEL", words="no version of model 'pictures' bears that label"
    ),
    "a label of an unknown model": Question(
        "cars", "classify", [LEFT], label="stable", reason="UNKNOWN_MODEL", words="no such model"
    ),
    "a label of a version that is gone": house(
        HOUSE, label="gone", reason="MODEL_NOT_READY", words="the version that bears that label is not served now"
    ),
    "a house classified": Question(
        "houses", "classify", [HOUSE], reason="WRONG_TASK", words="does regression, so it does not classify"
    ),
    "a picture regressed": Question(
        "pictures", "regress", [LEFT], reason="WRONG_TASK", words="does classification, so it does not regress"
    ),
    "a model that loads": Question(
        "loading", "classify", [LEFT], reason="MODEL_NOT_READY", words="version 1 is LOADING"
    ),
}

SHAPE = "expected [-1, 2, 3], got "


def pixels(
    shape: tuple[int, ...] = (1, 2, 3), values: Any = LEFT, datatype: str = "UINT8", **more: Any
) -> TensorQuestion:
    return TensorQuestion("pictures", (("pixels", datatype, shape, values),), **more)


def features(
    shape: tuple[int, ...] = (1, 2), values: Any = (3, 4), datatype: str = "FP32", **more: Any
) -> TensorQuestion:
    return TensorQuestion("houses", (("features", datatype, shape, list(values)),), **more)


# What only tensors can say.
BAD_TENSORS = {
    "no input": TensorQuestion("pictures", (), **at("/inputs", "expected an input 'pixels', but it is missing")),
    "another input": TensorQuestion(
        "houses",
        (("pixels", "UINT8", (1, 2, 3), LEFT),),
        faults=(
            ("/inputs/0/name", "no such input; expected features"),
            ("/inputs", "expected an input 'features', but it is missing"),
        ),
    ),
    "one input too many": TensorQuestion(
        "houses",
        (("features", "FP32", (1, 2), [3, 4]), (SECRET_TEXT, "FP32", (1, 1), [SECRET_NUMBER])),
        **at("/inputs/1/name", "no such input; expected features"),
    ),
    "more inputs than any model has": TensorQuestion(
        "houses", (("features", "FP32", (1, 2), [3, 4]),) * 1025, **at("/inputs", "expected at most 1024, got 1025")
    ),
    "more outputs than any model has": features(
        outputs=("value",) * 1025, **at("/outputs", "expected at most 1024, got 1025")
    ),
    "an input twice": TensorQuestion(
        "houses",
        (("features", "FP32", (1, 2), [3, 4]),) * 2,
        **at("/inputs/1/name", "expected each input once, got this one again"),
    ),
    "scaled pixels": pixels(
        values=[1.0] * 6,
        datatype="FP32",
        **at("/inputs/0/datatype", "expected UINT8 (raw values from 0 to 255, which the service scales), got FP32"),
    ),
    "scaled pixels of 64 bits": pixels(
        values=[0.5] * 6, datatype="FP64", **at("/inputs/0/datatype", "which the service scales), got FP64")
    ),
    "a datatype that nobody has": features(
        datatype=SECRET_TEXT, **at("/inputs/0/datatype", "expected FP32, got another datatype")
    ),
    "no datatype": features(datatype="", **at("/inputs/0/datatype", "expected FP32, got another datatype")),
    "texts": features(datatype="BYTES", **at("/inputs/0/datatype", "expected FP32, got another datatype")),
    "truths": features(datatype="BOOL", **at("/inputs/0/datatype", "expected FP32, got another datatype")),
    "half floats": features(datatype="FP16", **at("/inputs/0/datatype", "expected FP32, got another datatype")),
    "no batch": pixels((2, 3), **at("/inputs/0/shape", SHAPE + "2 dimensions")),
    "no shape": pixels((), **at("/inputs/0/shape", SHAPE + "0 dimensions")),
    "one dimension more": pixels((1, 2, 3, 1), **at("/inputs/0/shape", SHAPE + "4 dimensions")),
    "flat pictures": pixels((1, 6), **at("/inputs/0/shape", SHAPE + "2 dimensions")),
    "turned pictures": pixels((1, 3, 2), **at("/inputs/0/shape", SHAPE + "[1, 3, 2]")),
    "rows of another width": features((2, 1), **at("/inputs/0/shape", "expected [-1, 2], got [2, 1]")),
    "an empty batch": pixels((0, 2, 3), [], **at("/inputs/0/shape", "expected at least one instance, got none")),
    "a negative batch": pixels((-1, 2, 3), **at("/inputs/0/shape", "expected at least one instance, got none")),
    "a batch too large": pixels(
        (4, 2, 3), LEFT * 4, **at("/inputs/0/shape", "expected at most 3 instances in one request, got 4")
    ),
    "a batch beyond all memory": pixels(
        (2**62, 2, 3), **at("/inputs/0/shape", f"expected at most 3 instances in one request, got {2**62}")
    ),
    "a value short": pixels(values=LEFT[1:], **at("/inputs/0/data", "expected 6 values, got 5")),
    "a value too many": features(values=[3, 4, SECRET_NUMBER], **at("/inputs/0/data", "expected 2 values, got 3")),
    "no values": features(values=[], **at("/inputs/0/data", "expected 2 values, got 0")),
    "another output": pixels(
        outputs=(SECRET_TEXT,), **at("/outputs/0/name", "no such output; expected probabilities, mean")
    ),
    "one output too many": features(
        outputs=("value", "mean"), **at("/outputs/1/name", "no such output; expected value, low, high, largest")
    ),
    "wrong in many ways": TensorQuestion(
        "pictures",
        (("pixels", "FP32", (1, 3, 2), [0.5] * 6), (SECRET_TEXT, "", (), [])),
        ("mean", "low"),
        faults=(
            ("/inputs/0/datatype", "which the service scales), got FP32"),
            ("/inputs/0/shape", SHAPE + "[1, 3, 2]"),
            ("/inputs/1/name", "no such input; expected pixels"),
            ("/outputs/1/name", "no such output; expected probabilities, mean"),
        ),
    ),
    "a version that is neither number nor label": pixels(
        version="first", reason="UNKNOWN_MODEL", words="no version of model 'pictures' bears that label"
    ),
}


def in_tensors(question: Question) -> TensorQuestion | None:
    """The same question in tensors; None where they cannot ask it."""
    rows = _rows(question)
    if not rows or question.reason == "WRONG_TASK" or question.top_k is not None:
        return None
    width = len(rows[0])
    named = ("pixels", "INT64", (len(rows), 2, 3)) if width == 6 else ("features", "FP64", (len(rows), width))
    version = question.label or ("" if question.version is None else str(question.version))
    faults = tuple((_element(pointer, width), words) for pointer, words in question.faults)
    inputs = ((*named, [value for row in rows for value in row]),)
    return TensorQuestion(
        question.model, inputs, version=version, reason=question.reason, faults=faults, words=question.words
    )


def _rows(question: Question) -> list[list[Any]]:
    """Each instance as a flat row of the right width; none where an instance is no such row."""
    rows = [
        [item[name] for name in HOUSE] if isinstance(item, dict) and item.keys() == HOUSE.keys() else item
        for item in question.instances
    ]
    width = 2 if question.model.endswith("houses") else 6
    are_rows = all(type(row) is list and len(row) == width for row in rows)
    return rows if are_rows and not any(isinstance(row[0], list) for row in rows) else []


def _element(pointer: str, width: int) -> str:
    """/instances/1/age → /inputs/0/data/3."""
    _, _, *path = pointer.split("/")
    if not path:
        return "/inputs/0/shape"
    row, column = path
    return f"/inputs/0/data/{int(row) * width + (list(HOUSE).index(column) if column in HOUSE else int(column))}"
