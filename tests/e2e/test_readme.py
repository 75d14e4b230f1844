"""The README's examples are run as they stand there, and answer as it says."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.local_stack import LocalStack

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
EXAMPLES = re.findall(r"```sh\n(curl [^`]*)```\n\n```json\n([^`]*)```", README)
[CSV] = re.findall(r"^(printf .*?text/csv.*?)\n```", README, re.MULTILINE | re.DOTALL)
[(COMMAND, PRINTED)] = re.findall(r"```console\n\$ (.*)\n([^`]*)```", README)
[PYTHON] = re.findall(r"```python\n([^`]*)```", README)
PICTURES = re.findall(r"^(curl .*ankle-boot\.png.*)$", README, re.MULTILINE)


@pytest.mark.parametrize(("command", "shown"), EXAMPLES)
def test_the_readmes_curl_answers_as_shown(stack: LocalStack, command: str, shown: str) -> None:
    assert shape(run(stack, command)) == shape(json.loads(shown))


def test_the_readmes_pictures_are_ankle_boots_and_its_csv_is_a_house(stack: LocalStack) -> None:
    assert len(PICTURES) == 2
    for command in PICTURES:
        assert {prediction["class_name"] for prediction in run(stack, command)["predictions"]} == {"Ankle boot"}
    [house] = run(stack, CSV)["predictions"]
    assert house["unit"] == "100k USD"


def test_the_readmes_command_and_its_python_say_ankle_boot(stack: LocalStack) -> None:
    printed = output(["bash", "-c", f"{COMMAND.replace('python', sys.executable)} --url {stack.url}"])
    assert re.sub(r"[\d.]+%.*", "…", printed.splitlines()[0]) == re.sub(r"[\d.]+%.*", "…", PRINTED.splitlines()[0])
    assert printed.splitlines()[-1] == PRINTED.splitlines()[-1]

    classified, predicted = output([sys.executable, "-c", PYTHON.replace(":8081", f":{stack.grpc_port}")]).splitlines()
    assert "'class_name': 'Ankle boot'" in classified
    assert "100k USD" in predicted


def test_the_readme_has_examples() -> None:
    assert len(EXAMPLES) >= 3


def run(stack: LocalStack, command: str) -> Any:
    """What a README's command prints when it is asked of this stack."""
    return json.loads(output(["bash", "-c", command.replace("http://127.0.0.1:8080", stack.url)]))


def output(command: list[str]) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def shape(value: Any) -> Any:
    """The document with what differs between two trained models left out: numbers, digests, request ids."""
    if isinstance(value, dict):
        return {key: "…" if key in ("digest", "request_id", "version") else shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return "a number" if isinstance(value, float) else value
