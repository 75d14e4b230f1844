"""Answers as serialised messages of the gateway's own gRPC API: those of `to_answers`, but a batch at a time.

A message is what is said in words, which is the same of many instances, and numbers, each of which has its place.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from serving.contract import ClassOutput, ModelContract, ValueOutput
from serving.gateway.answers import to_verdicts
from serving.gateway.outputs import Outputs
from serving.generated.atelier.prediction.v1 import prediction_pb2 as wire
from serving.protobuf_fields import KEY, VALUE, Pieces, field, float_field

_PREDICTIONS = wire.ClassifyResponse.PREDICTIONS_FIELD_NUMBER  # and RegressResponse's
_GAP = bytes(4)  # where a float goes
_MAX_WORDS = 4096  # to remember


def answer_messages(contract: ModelContract, outputs: Outputs, sizes: Sequence[int]) -> list[bytes]:
    """The `predictions` of replies to requests of so many instances, without top_k, from checked outputs."""
    return _writer(contract).write(outputs, sizes)


class _Writer:
    """Writes the answers of one contract."""

    def __init__(self, contract: ModelContract) -> None:
        self._contract = contract
        self._tensors = _tensors(contract)
        pieces = _numbers(contract)
        starts = accumulate(map(len, pieces), initial=0)
        gaps = [start for start, piece in zip(starts, pieces, strict=False) if piece is _GAP]
        self._gaps = np.add.outer(gaps, range(len(_GAP))).ravel()
        self._numbers = np.frombuffer(b"".join(pieces), np.uint8)
        self._words = lru_cache(maxsize=_MAX_WORDS)(self._written)

    def write(self, outputs: Outputs, sizes: Sequence[int]) -> list[bytes]:
        """All `predictions` of each request."""
        rows, length = sum(sizes), len(self._numbers)
        verdicts = to_verdicts(self._contract, outputs)
        numbers = np.tile(self._numbers, (rows, 1))
        numbers[:, self._gaps] = self._values(outputs, verdicts.class_ids).view(np.uint8)
        block = numbers.tobytes()
        words = map(self._words, verdicts.class_ids, map(tuple, verdicts.class_sets), verdicts.in_domain)
        answers = [own + block[row * length : (row + 1) * length] for row, own in enumerate(words)]
        return [b"".join(answers[end - size : end]) for size, end in zip(sizes, accumulate(sizes), strict=True)]

    def _values(self, outputs: Outputs, class_ids: Sequence[int]) -> NDArray[np.float32]:
        """(instances, gaps)."""
        columns = [outputs[name] for name in self._tensors]
        if isinstance(self._contract.output, ClassOutput):
            columns.insert(0, columns[0][np.arange(len(class_ids)), class_ids, None])
        return np.concatenate(columns, axis=1, dtype="<f4")

    def _written(self, class_id: int, class_set: tuple[int, ...], is_in: bool) -> bytes:  # noqa: FBT001 (a cache's key)
        """All before the numbers: the field's key and length too."""
        output = self._contract.output
        message: wire.Classification | wire.Regression
        if isinstance(output, ClassOutput):
            names = output.class_names
            message = wire.Classification(class_name=names[class_id], class_id=class_id)
            if spec := output.prediction_set:
                message.prediction_set.level = spec.level
                message.prediction_set.class_names.extend(names[i] for i in class_set)
        else:
            message = wire.Regression(unit=output.unit)
        if self._contract.domain:
            message.in_domain = is_in
        words = message.SerializeToString()
        numbers = self._numbers.tobytes()
        return b"".join(field(_PREDICTIONS, [words, numbers])).removesuffix(numbers)


_writer = lru_cache(maxsize=64)(_Writer)


def _tensors(contract: ModelContract) -> list[str]:
    """The outputs that answers tell, in the order in which they tell them."""
    output, domain = contract.output, contract.domain
    interval = output.interval if isinstance(output, ValueOutput) else None
    bounds = [interval.low, interval.high] if interval else []
    return [output.tensor, *bounds, *([domain.tensor] if domain else [])]


def _numbers(contract: ModelContract) -> Pieces:
    """An answer's, with gaps for the model's, in the order of `_tensors`; before them the best class's probability."""
    kind = wire.Classification if isinstance(contract.output, ClassOutput) else wire.Regression
    score = float_field(kind.DOMAIN_SCORE_FIELD_NUMBER, _GAP) if contract.domain else []
    output = contract.output
    return (_class_numbers(output) if isinstance(output, ClassOutput) else _value_numbers(output)) + score


def _class_numbers(output: ClassOutput) -> Pieces:
    entries = ([*field(KEY, [name.encode()]), *float_field(VALUE, _GAP)] for name in output.class_names)
    by_name = [piece for entry in entries for piece in field(wire.Classification.PROBABILITIES_FIELD_NUMBER, entry)]
    return [*float_field(wire.Classification.PROBABILITY_FIELD_NUMBER, _GAP), *by_name]


def _value_numbers(output: ValueOutput) -> Pieces:
    value = float_field(wire.Regression.VALUE_FIELD_NUMBER, _GAP)
    if output.interval is None:
        return value
    level = wire.Interval(level=output.interval.level).SerializeToString()
    low, high = (
        float_field(number, _GAP) for number in (wire.Interval.LOW_FIELD_NUMBER, wire.Interval.HIGH_FIELD_NUMBER)
    )
    return value + field(wire.Regression.INTERVAL_FIELD_NUMBER, [level, *low, *high])
