"""What a served model promises: its inputs, outputs, goldens, origin and evaluation, as frozen dataclasses ↔ JSON.

Training writes a contract into every SavedModel it exports; the gateway reads it back from the model server and learns
the model from it. Standard library only: this is the one file both halves share, so it may know neither.
"""

import dataclasses
import json
import math
import sys
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

# A reader understands exactly one version: a field it does not know could change what a prediction means.
CONTRACT_VERSION = 1

# The SavedModel signature that predicts: float32 tensors as the model computes with them -> its outputs.
DEFAULT_SIGNATURE = "serving_default"

# The SavedModel signature that returns the contract: probe int32 (n,) -> contract string (n,), each element the JSON.
# It is batch-shaped because TF Serving's batching session cannot queue a signature without inputs.
CONTRACT_SIGNATURE = "contract"
CONTRACT_PROBE = "probe"
CONTRACT_OUTPUT = "contract"

# The SavedModel signature that returns the version's documents: the same probe -> a string output (n,) a document.
DOCUMENTS_SIGNATURE = "documents"

# Members that came after the first contracts of this version. Where one is None it is left out of the JSON, so that a
# contract without it keeps its bytes, and with them its digest.
_CAME_LATER = frozenset({"quantiles", "place", "truth", "documents", "raw_signature"})


class ContractError(ValueError):
    """A document that is not a contract we understand; the message names the place, what was expected and what came."""


@dataclass(frozen=True)
class ImageInput:
    """One image an instance, filling one float32 tensor of shape (batch, *shape) with raw value * scale.

    With a raw signature the tensor travels as uint8, raw, and the model multiplies: the same to the last bit.
    """

    tensor: str
    shape: tuple[int, ...]  # of one raw instance: (height, width) or (height, width, channels)
    minimum: int  # of a raw value, inclusive
    maximum: int  # of a raw value, inclusive
    scale: float  # raw values, as float32, are multiplied by float32(scale)
    raw_signature: str | None = None  # as the default one, but takes raw values: uint8, under the tensor's name
    kind: Literal["image"] = "image"

    def __post_init__(self) -> None:
        if self.raw_signature is not None and not (self.minimum >= 0 and self.maximum <= 255):
            raise ContractError(
                f"signature {self.raw_signature!r} takes raw values from 0 to 255, "
                f"but the input's go from {self.minimum} to {self.maximum}"
            )


@dataclass(frozen=True)
class Feature:
    """One named number of an instance."""

    name: str
    unit: str
    description: str
    minimum: float  # smallest value seen in training
    maximum: float  # largest value seen in training
    # How the values seen in training lie: below each the same share of them, from the smallest to the largest; rounded.
    quantiles: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Place:
    """Which features say where an instance is, and where the instances of training are: a map in characters.

    A line is a band of latitude, from `north` down; a character of it a cell of longitude, from `west` on. NOWHERE: no
    instance of training lies there. A digit: in which of its parts `levels` has the median target of those that do.
    """

    latitude: str  # a feature, in degrees north
    longitude: str  # a feature, in degrees east
    north: float  # degrees, of the map's upper edge
    west: float  # degrees, of its left edge
    cell_height: float  # degrees of latitude
    cell_width: float  # degrees of longitude
    cells: tuple[str, ...]
    levels: tuple[float, ...]  # targets, in the output's unit: at most nine, which cut them into parts 0, 1, …


# A cell of a place's map without an instance of training.
NOWHERE = "."


@dataclass(frozen=True)
class FeatureTensor:
    """A float32 model input of shape (batch, len(features)): which features fill it, in which order."""

    name: str
    features: tuple[str, ...]


@dataclass(frozen=True)
class FeatureInput:
    """Named numbers an instance, filling one or more tensors; tensors may share features."""

    features: tuple[Feature, ...]  # in the order in which a list instance gives them
    tensors: tuple[FeatureTensor, ...]
    place: Place | None = None
    kind: Literal["features"] = "features"

    def __post_init__(self) -> None:
        known = {feature.name for feature in self.features}
        for tensor in self.tensors:
            if unknown := [name for name in tensor.features if name not in known]:
                raise ContractError(f"tensor {tensor.name!r} names features the input lacks: {unknown}")
        if self.place and (unknown := [n for n in (self.place.latitude, self.place.longitude) if n not in known]):
            raise ContractError(f"the place names features the input lacks: {unknown}")


@dataclass(frozen=True)
class PredictionSet:
    """The classes whose probability reaches the threshold hold the true one with probability `level` (conformal, LAC).

    The set is empty where no class is probable enough: an abstention, for somebody else to decide.
    """

    level: float  # e.g. 0.9; marginal over inputs like those of training
    threshold: float


@dataclass(frozen=True)
class ClassOutput:
    """Class probabilities: a float32 tensor of shape (batch, len(class_names))."""

    tensor: str
    class_names: tuple[str, ...]
    prediction_set: PredictionSet | None = None
    kind: Literal["classes"] = "classes"


@dataclass(frozen=True)
class Interval:
    """Two further outputs, float32 (batch, 1): the true value lies between them with probability `level`."""

    level: float  # e.g. 0.9; marginal over inputs like those of training
    low: str  # tensor
    high: str  # tensor


@dataclass(frozen=True)
class ValueOutput:
    """One number: a float32 tensor of shape (batch, 1), in the given unit."""

    tensor: str
    unit: str
    interval: Interval | None = None
    kind: Literal["value"] = "value"


@dataclass(frozen=True)
class Domain:
    """A further output, float32 of shape (batch, 1): how unlike the training data an instance is."""

    tensor: str
    threshold: float  # a score above it is out of domain
    description: str  # what the score measures, and which share of the training data exceeds the threshold


@dataclass(frozen=True)
class Golden:
    """A raw instance, as a client would send it, and what the trained model answered."""

    instance: Any  # JSON: nested lists of pixels, or an object by feature name
    answer: Mapping[str, tuple[float, ...]]  # output tensor -> the instance's values, flattened
    truth: float | None = None  # what the data says instead: the class's number, or the value


@dataclass(frozen=True)
class Evaluation:
    """How good the model was on rows that training never saw."""

    split: str  # which rows, in words
    rows: int
    metrics: Mapping[str, float]  # e.g. {"accuracy": 0.91}; an error metric is in the output's unit
    intervals: Mapping[str, tuple[float, ...]] | None = None  # of metrics: (low, high), 95 %, over other draws of rows


@dataclass(frozen=True)
class Provenance:
    """Where the model came from, precisely enough to train it again."""

    created: str  # RFC 3339, UTC
    data_source: str
    data_digest: str  # "sha256:…" over the data set's arrays
    seed: int
    config: Mapping[str, Any]  # the resolved training configuration
    source_revision: str  # git commit, "-dirty" when the tree had changes, "unknown" outside a checkout
    library_versions: Mapping[str, str]


@dataclass(frozen=True)
class Document:
    """A text for people about this version: an output of the signature `documents`, by that name."""

    name: str  # as in a URL
    title: str
    media_type: Literal["text/html", "text/markdown"]


@dataclass(frozen=True)
class ModelContract:
    """The whole promise. Two artefacts with the same digest hold the same weights and make the same promise."""

    name: str
    task: Literal["classification", "regression"]
    description: str
    digest: str  # "sha256:…" over the weights and this document with an empty digest
    input: ImageInput | FeatureInput
    output: ClassOutput | ValueOutput
    goldens: tuple[Golden, ...]
    golden_tolerance: float  # largest absolute difference from a golden answer, on any hardware
    evaluation: Evaluation
    provenance: Provenance
    domain: Domain | None = None
    documents: tuple[Document, ...] | None = None
    contract_version: int = CONTRACT_VERSION

    def __hash__(self) -> int:
        # Not all members can be hashed; what is made once a contract is looked up by it.
        return hash(self.digest)

    def __post_init__(self) -> None:
        task = {"classes": "classification", "value": "regression"}[self.output.kind]
        if self.task != task:
            raise ContractError(f"a {self.output.kind!r} output makes the task {task!r}, not {self.task!r}")

    @property
    def signature(self) -> str:
        """The SavedModel signature that answers clients' calls: the raw one where there is one."""
        raw = self.input.raw_signature if isinstance(self.input, ImageInput) else None
        return DEFAULT_SIGNATURE if raw is None else raw


def to_json(contract: ModelContract) -> str:
    """The contract as one canonical JSON document: the same contract always gives the same bytes."""
    return json.dumps(
        dataclasses.asdict(contract, dict_factory=_members),
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
    )


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A dataclass's members, without those that came later and are not there."""
    return {name: value for name, value in pairs if value is not None or name not in _CAME_LATER}


def from_json(text: str | bytes) -> ModelContract:
    """Read a contract back.

    Raises:
        ContractError: not JSON, another contract_version, or a field missing, unknown or of the wrong type.
    """
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ContractError(f"not JSON: {error}") from error
    if not isinstance(document, dict):
        raise ContractError(f"expected a JSON object, got {_kind_of(document)}")
    version = document.get("contract_version")
    if version != CONTRACT_VERSION:
        raise ContractError(f"expected contract_version {CONTRACT_VERSION}, got {version!r}")
    contract = _decode(ModelContract, document, "")
    assert isinstance(contract, ModelContract)  # noqa: S101 (tells mypy what _decode returned)
    return contract


def _decode(hint: Any, value: Any, where: str) -> Any:
    """Turn a JSON value into what the type hint says; `where` is its JSON pointer, for the error."""
    if hint is Any:
        return value
    if dataclasses.is_dataclass(hint):
        return _decode_dataclass(hint, value, where)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _decode_union(arguments, value, where)
    if origin is Literal:
        if value not in arguments:
            raise ContractError(f"{where}: expected one of {list(arguments)}, got {value!r}")
        return value
    if origin is tuple:
        items = _expect(list, value, where)
        return tuple(_decode(arguments[0], item, f"{where}/{i}") for i, item in enumerate(items))
    if origin is Mapping:
        members = _expect(dict, value, where)
        return {key: _decode(arguments[1], item, f"{where}/{key}") for key, item in members.items()}
    return _expect(hint, value, where)


def _decode_dataclass(cls: Any, value: Any, where: str) -> Any:
    members = _expect(dict, value, where)
    hints = get_type_hints(cls)
    if unknown := sorted(members.keys() - hints.keys()):
        raise ContractError(f"{where or '/'}: unknown fields {unknown}")
    required = {field.name for field in dataclasses.fields(cls) if field.default is dataclasses.MISSING}
    if missing := sorted(required - members.keys()):
        raise ContractError(f"{where or '/'}: missing fields {missing}")
    return cls(**{name: _decode(hints[name], item, f"{where}/{name}") for name, item in members.items()})


def _decode_union(candidates: tuple[Any, ...], value: Any, where: str) -> Any:
    """`X | None`, or dataclasses told apart by their `kind`."""
    if type(None) in candidates:
        if value is None:
            return None
        (hint,) = (candidate for candidate in candidates if candidate is not type(None))
        return _decode(hint, value, where)
    return _decode_dataclass(_by_kind(candidates, value, where), value, where)


def _by_kind(candidates: tuple[Any, ...], value: Any, where: str) -> Any:
    """The dataclass of a union whose `kind` the value names."""
    kinds = {candidate.kind: candidate for candidate in candidates}
    kind = _expect(dict, value, where).get("kind")
    if not isinstance(kind, str) or kind not in kinds:
        raise ContractError(f"{where}/kind: expected one of {sorted(kinds)}, got {kind!r}")
    return kinds[kind]


def _expect(cls: type, value: Any, where: str) -> Any:
    if cls is float and type(value) is int:
        value = float(value) if abs(value) <= sys.float_info.max else math.inf
    if type(value) is not cls:  # not isinstance: True is no int here
        raise ContractError(f"{where}: expected {_NAMES[cls]}, got {_kind_of(value)}")
    if isinstance(value, float) and not math.isfinite(value):  # 1e999
        raise ContractError(f"{where}: expected a finite number, got {value}")
    return value


def _refuse_constant(name: str) -> None:
    """Python reads NaN and Infinity; JSON has neither."""
    raise ValueError(f"{name} is not JSON")


_NAMES: Mapping[type, str] = {
    str: "a string",
    int: "an integer",
    float: "a number",
    bool: "a boolean",
    list: "an array",
    dict: "an object",
    type(None): "null",
}


def _kind_of(value: Any) -> str:
    return _NAMES[type(value)]
