import dataclasses
import json

import numpy as np

from serving.contract import Domain, Interval, ValueOutput
from tests.training_data import houses, pictures
from training.datasets import encode
from training.goldens import from_json_instances, make_goldens, pick_rows


def test_a_classifier_s_goldens_are_the_first_test_rows_of_each_class() -> None:
    dataset = pictures()
    rows = pick_rows(dataset)
    assert sorted(rows.targets) == [0, 1, 2]
    np.testing.assert_array_equal(rows.instances[0], dataset.test.instances[0])


def test_a_regressor_s_goldens_go_from_the_lowest_target_to_the_highest() -> None:
    dataset = houses()
    targets = pick_rows(dataset).targets
    assert len(targets) == 8
    assert list(targets) == sorted(targets)
    assert (targets[0], targets[-1]) == (dataset.test.targets.min(), dataset.test.targets.max())


def test_a_golden_gives_the_model_the_same_tensors_after_a_journey_through_json() -> None:
    for dataset in (pictures(), houses()):
        rows = pick_rows(dataset)
        answers = np.full((len(rows), 2), 1 / 3, np.float32)
        goldens = make_goldens(dataset, rows, {dataset.output.tensor: answers})
        instances = json.loads(json.dumps([golden.instance for golden in goldens]))
        before, after = (
            encode(dataset.input, rows.instances),
            encode(dataset.input, from_json_instances(dataset.input, instances)),
        )
        for name, tensor in before.items():
            np.testing.assert_array_equal(tensor, after[name])
        assert np.float32(goldens[0].answer[dataset.output.tensor][0]) == answers[0, 0]


def test_a_golden_has_the_answer_of_every_output_that_the_contract_promises() -> None:
    dataset = houses()
    assert isinstance(dataset.output, ValueOutput)
    promising = dataclasses.replace(
        dataset,
        output=dataclasses.replace(dataset.output, interval=Interval(0.9, "low", "high")),
        domain=Domain("score", 1.0, "how strange"),
    )
    rows = pick_rows(dataset)
    answers = {name: np.full((len(rows), 1), i, np.float32) for i, name in enumerate(["value", "low", "high", "score"])}
    golden = make_goldens(promising, rows, {**answers, "of no concern": answers["low"]})[0]
    assert golden.answer == {"value": (0.0,), "low": (1.0,), "high": (2.0,), "score": (3.0,)}
