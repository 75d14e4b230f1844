import dataclasses
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving import contract as contracts
from serving.contract import ContractError, Document, FeatureInput, FeatureTensor, ImageInput, Place, ValueOutput
from tests.fakes import house_contract, picture_contract, with_raw_signature


@pytest.mark.parametrize("contract", [picture_contract(), house_contract()], ids=["classification", "regression"])
def test_comes_back_from_json_as_it_was(contract):
    assert contract == contracts.from_json(contracts.to_json(contract))
    assert contract == contracts.from_json(contracts.to_json(contract).encode())


def test_the_same_contract_always_gives_the_same_bytes():
    assert contracts.to_json(house_contract()) == contracts.to_json(house_contract())


def test_names_in_other_scripts_survive():
    contract = house_contract(description="Häuser 住宅")

    assert contract == contracts.from_json(contracts.to_json(contract).encode())


PLACE = Place("rooms", "age", 42.0, -124.0, 0.1, 0.125, ("..3", "0.9"), (1.0, 2.5))


def full_contract():
    """With every member that came after the first contracts."""
    contract = house_contract(documents=(Document("report", "Report", "text/html"),))
    first, *others = contract.input.features
    with_quantiles = dataclasses.replace(first, quantiles=(0.0, 50.0, 100.0))
    features = dataclasses.replace(contract.input, features=(with_quantiles, *others), place=PLACE)
    goldens = tuple(dataclasses.replace(golden, truth=7.5) for golden in contract.goldens)
    return dataclasses.replace(contract, input=features, goldens=goldens)


@pytest.mark.parametrize(
    "contract", [full_contract(), with_raw_signature(picture_contract())], ids=["house", "picture"]
)
def test_what_came_later_comes_back_too(contract):
    assert contract == contracts.from_json(contracts.to_json(contract))


@pytest.mark.parametrize("contract", [house_contract(), picture_contract()], ids=["house", "picture"])
def test_a_contract_without_what_came_later_keeps_its_bytes(contract):
    """And so the digest that it was published with."""
    text = contracts.to_json(contract)

    assert not {"quantiles", "place", "truth", "documents", "raw_signature"} & set(re.findall(r'"(\w+)":', text))
    assert '"domain":null' in text


def test_clients_calls_go_to_the_raw_signature_where_the_model_has_one():
    assert with_raw_signature(picture_contract(), "bytes").signature == "bytes"
    assert picture_contract().signature == house_contract().signature == "serving_default"


@pytest.mark.parametrize(("minimum", "maximum"), [(0, 256), (-1, 255), (-128, 127)])
def test_a_raw_signature_takes_no_values_that_are_no_bytes(minimum, maximum):
    document = json.loads(changed())
    document["input"] |= {"minimum": minimum, "maximum": maximum}
    assert contracts.from_json(json.dumps(document)).input.raw_signature is None
    document["input"]["raw_signature"] = "raw"

    words = f"'raw' takes raw values from 0 to 255, but the input's go from {minimum} to {maximum}"
    with pytest.raises(ContractError, match=words):
        contracts.from_json(json.dumps(document))


def test_a_raw_signature_takes_part_of_what_a_byte_holds():
    assert ImageInput("pixels", (2, 3), 1, 9, 0.1, raw_signature="raw").maximum == 9


def test_a_place_names_features_of_the_input():
    document = json.loads(contracts.to_json(full_contract()))
    document["input"]["place"]["latitude"] = "Latitude"

    with pytest.raises(ContractError, match=r"the place names features the input lacks: \['Latitude'\]"):
        contracts.from_json(json.dumps(document))


def test_a_document_is_of_a_kind_that_a_browser_can_be_given():
    document = changed(documents=[{"name": "x", "title": "X", "media_type": "text/javascript"}])

    with pytest.raises(ContractError, match="/documents/0/media_type: expected one of"):
        contracts.from_json(document)


def changed(**members: Any) -> str:
    """The picture contract as JSON, with some members replaced, or removed where None."""
    document = json.loads(contracts.to_json(picture_contract())) | members
    return json.dumps({name: value for name, value in document.items() if value is not None})


PROVENANCE = dataclasses.asdict(picture_contract().provenance)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        (b"\xff", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "expected a JSON object, got an array"),
        (changed(contract_version=2), "expected contract_version 1, got 2"),
        (changed(contract_version=None), "expected contract_version 1, got None"),
        (changed(task=None), r"/: missing fields \['task'\]"),
        (changed(colour="red"), r"/: unknown fields \['colour'\]"),
        (changed(name=3), "/name: expected a string, got an integer"),
        (changed(task="clustering"), "/task: expected one of"),
        (changed(task="regression"), "a 'classes' output makes the task 'classification', not 'regression'"),
        (changed(input="pixels"), "/input: expected an object, got a string"),
        (changed(input={"kind": "sound"}), "/input/kind: expected one of .*, got 'sound'"),
        (changed(input={"kind": ["image"]}), "/input/kind: expected one of"),
        (changed(input={}), "/input/kind: expected one of .*, got None"),
        (
            changed(output={"kind": "classes", "tensor": "p", "class_names": ["a", 1]}),
            "/output/class_names/1: expected a",
        ),
        (changed(golden_tolerance=True), "/golden_tolerance: expected a number, got a boolean"),
        (changed(golden_tolerance=float("nan")), "not JSON: NaN is not JSON"),
        (changed().replace("0.0001", "1e999"), "/golden_tolerance: expected a finite number, got inf"),
        (changed(golden_tolerance=10**400), "/golden_tolerance: expected a finite number, got inf"),
        (changed(goldens=[{"instance": 1}]), r"/goldens/0: missing fields \['answer'\]"),
        (
            changed(goldens=[{"instance": 1, "answer": {"p": ["x"]}}]),
            "/goldens/0/answer/p/0: expected a number, got a str",
        ),
        (changed(provenance=PROVENANCE | {"seed": 1.5}), "/provenance/seed: expected an integer, got a number"),
    ],
)
def test_refuses_what_is_no_contract_and_says_where(text, message):
    with pytest.raises(ContractError, match=message):
        contracts.from_json(text)


def test_a_whole_number_will_do_where_a_number_is_expected():
    assert contracts.from_json(changed(golden_tolerance=1)).golden_tolerance == 1.0


def test_a_tensor_cannot_name_a_feature_the_input_lacks():
    with pytest.raises(ContractError, match=r"tensor 'x' names features the input lacks: \['cellar'\]"):
        FeatureInput(features=(), tensors=(FeatureTensor("x", ("cellar",)),))


def test_the_output_decides_the_task():
    with pytest.raises(ContractError, match="a 'value' output makes the task 'regression', not 'classification'"):
        picture_contract(output=ValueOutput("value", "EUR"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(sorted(json.loads(changed()))), json_values)
def test_whatever_stands_in_a_member_it_is_read_or_refused_never_worse(member, value):
    document = json.loads(changed()) | {member: value}
    try:
        contract = contracts.from_json(json.dumps(document))
    except ContractError:
        return
    assert contract == contracts.from_json(contracts.to_json(contract))
