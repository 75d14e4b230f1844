"""What goes into the images: every module of ours that their process imports, and only what is locked."""

import re
from pathlib import Path

import grimp
import pytest

GRAPH = grimp.build_graph("serving", "training")
ENTRIES = {
    "serving/gateway": "serving.gateway.__main__",
    "serving/model_server": "serving.model_server.__main__",
    "training": "training.__main__",
    "tests/load": "serving.client",
}


def copied(part):
    """The paths that a Dockerfile copies from the project."""
    lines = re.findall(r"^COPY (?!--from)(.*) \S+$", (Path(part) / "Dockerfile").read_text(), re.MULTILINE)
    return [path for line in lines for pattern in line.split() for path in Path().glob(pattern)]


def file_of(module):
    path = Path(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@pytest.mark.parametrize(("part", "entry"), ENTRIES.items())
def test_an_image_holds_every_module_of_ours_that_its_process_imports(part, entry):
    needed = {file_of(module) for module in (entry, *GRAPH.find_upstream_modules(entry))}
    places = copied(part)
    assert {file for file in needed if not any(file.is_relative_to(place) for place in places)} == set()


@pytest.mark.parametrize("part", ENTRIES)
def test_a_new_revision_does_not_make_the_layers_of_the_last_one_anew(part):
    """Whatever follows an argument or a label is built again when that changes."""
    final_stage = (Path(part) / "Dockerfile").read_text().rsplit("\nFROM ", 1)[1]
    instructions = re.findall(r"^([A-Z]+) ", final_stage, re.MULTILINE)
    first = instructions.index("ARG")
    assert "COPY" in instructions[:first]
    assert set(instructions[first:]) == {"ARG", "LABEL"}


@pytest.mark.parametrize("part", ENTRIES)
def test_an_image_installs_what_is_locked_and_tested(part):
    def pins(file):
        return set(re.findall(r"^([\w.-]+(?:\[[\w,-]+\])?==\S+)", file.read_text(), re.MULTILINE))

    locked = Path(part) / "requirements.lock"
    assert locked in copied(part)
    assert pins(locked) <= pins(Path("requirements.lock"))
    assert "--require-hashes" in (Path(part) / "Dockerfile").read_text()
