"""Every row of the conformance table is named by a test, and every name is a row."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.conformance.rows import NOT_HELD, ROWS

TESTS = Path(__file__).parents[1]
ROW = re.compile(r"[1-4](?:\.\d)?/\d+")


def named_rows() -> set[str]:
    """What the calls of `row`, and the ids of parameters, say."""
    files = [*TESTS.glob("conformance/test_*.py"), *TESTS.glob("*/**/test_model_server*.py")]
    files += TESTS.glob("unit/serving/model_server/test_*.py")
    return {name for file in files for call in calls(file) for name in names_in(call)}


def calls(file: Path) -> Iterator[ast.Call]:
    return (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call))


def names_in(call: ast.Call) -> Iterator[str]:
    if isinstance(call.func, ast.Name) and call.func.id == "row":
        yield from (str(argument.value) for argument in call.args if isinstance(argument, ast.Constant))
    for keyword in call.keywords:
        is_id = keyword.arg == "id" and isinstance(keyword.value, ast.Constant)
        if is_id and (match := ROW.match(str(keyword.value.value))):
            yield match[0]


def test_every_row_is_named_by_a_test() -> None:
    assert ROWS.keys() - named_rows() - NOT_HELD.keys() == set()


def test_every_name_is_a_row() -> None:
    assert named_rows() - ROWS.keys() == set()


def test_what_is_not_held_is_a_row_without_a_test() -> None:
    assert NOT_HELD.keys() <= ROWS.keys() - named_rows()
