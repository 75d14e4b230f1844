import json

import numpy as np

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
        goldens = make_goldens(dataset, rows, answers)
        instances = json.loads(json.dumps([golden.instance for golden in goldens]))
        before, after = (
            encode(dataset.input, rows.instances),
            encode(dataset.input, from_json_instances(dataset.input, instances)),
        )
        for name, tensor in before.items():
            np.testing.assert_array_equal(tensor, after[name])
        assert np.float32(goldens[0].answer[dataset.output.tensor][0]) == answers[0, 0]
