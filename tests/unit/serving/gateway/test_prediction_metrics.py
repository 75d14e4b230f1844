import dataclasses

import numpy as np
from prometheus_client import CollectorRegistry

from serving.contract import ClassOutput
from serving.gateway.answers import to_answers
from serving.gateway.prediction_metrics import MAX_CLASSES, PredictionMetrics
from tests.fakes import full_house_contract, house_contract, picture_contract


def observed(contract, **outputs):
    registry = CollectorRegistry()
    arrays = {name: np.array(rows, np.float32) for name, rows in outputs.items()}
    PredictionMetrics(registry).observe(contract, 7, arrays)
    return lambda name, **labels: registry.get_sample_value(name, labels)


def test_instances_are_counted_by_the_class_predicted():
    value = observed(picture_contract(), probabilities=[[0.1, 0.8, 0.1], [0, 1, 0], [0, 0, 1]])

    assert value("atelier_request_instances_sum", model="pictures") == 3
    counts = {
        name: value("atelier_predicted_classes_total", model="pictures", version="7", class_name=name)
        for name in ("left", "middle", "right")
    }
    assert counts == {"left": None, "middle": 2, "right": 1}


def test_classes_beyond_the_bound_are_counted_together():
    names = tuple(f"class {i}" for i in range(MAX_CLASSES + 10))
    contract = picture_contract(output=ClassOutput("probabilities", names))

    value = observed(contract, probabilities=np.eye(len(names)))

    def count(name):
        return value("atelier_predicted_classes_total", model="pictures", version="7", class_name=name)

    assert count(f"class {MAX_CLASSES - 1}") == 1
    assert count(f"class {MAX_CLASSES}") is None
    assert count("other") == 10


def test_values_have_a_distribution():
    value = observed(house_contract(), value=[[7], [0.5], [-3]])

    def up_to(bound):
        return value("atelier_predicted_value_bucket", model="houses", version="7", le=bound)

    assert (up_to("0.0"), up_to("0.5"), up_to("5.0"), up_to("10.0")) == (1, 2, 2, 3)


def test_instances_out_of_domain_are_counted():
    outputs = {"value": [[1], [2]], "low": [[0], [1]], "high": [[3], [4]], "largest": [[100], [101]]}

    assert observed(full_house_contract(), **outputs)("atelier_out_of_domain_total", model="houses", version="7") == 1


def test_an_instance_is_counted_as_out_of_domain_where_its_answer_says_so():
    threshold = 0.1  # the nearest float32 is larger
    contract = full_house_contract()
    contract = dataclasses.replace(contract, domain=dataclasses.replace(contract.domain, threshold=threshold))
    outputs = {"value": [[1]], "low": [[0]], "high": [[3]], "largest": [[threshold]]}

    [answer] = to_answers(contract, {name: np.array(rows, np.float32) for name, rows in outputs.items()}, None)
    value = observed(contract, **outputs)("atelier_out_of_domain_total", model="houses", version="7")

    assert (answer["in_domain"], value) == (False, 1)
