"""The documents say what the code does."""

import dataclasses
import re
from pathlib import Path

import pytest

from serving import environment, stack
from serving.gateway.settings import Settings as GatewaySettings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md"))]
MAKEFILE = (ROOT / "Makefile").read_text()

SETTINGS_ROW = re.compile(r"^\| `(ATELIER_\w+)` \| (.*?) \|", re.MULTILINE)
DERIVED = {
    "ATELIER_API_KEYS_FILE": "none",
    "ATELIER_ACCEPT_IN_PRODUCTION": "nothing",
    **dict.fromkeys(
        (
            "ATELIER_MODELS_FILE",
            "ATELIER_MODEL_SERVER_CA_FILE",
            "ATELIER_MODEL_SERVER_CERT_FILE",
            "ATELIER_MODEL_SERVER_KEY_FILE",
            "ATELIER_TLS_CERT_FILE",
            "ATELIER_TLS_KEY_FILE",
            "ATELIER_TLS_CLIENT_CA_FILE",
        ),
        "none",
    ),
    "ATELIER_MODEL_SERVER_NAME": "the address",
    "ATELIER_WORKERS": "one a core, 2 to 8",
    "ATELIER_DATA_DIR": "`~/.cache/atelier`",
    "ATELIER_RUNS_DIR": "`runs`",
}


def settings_in_code() -> dict[str, str]:
    """Variable name -> how the README writes its default."""
    defaults = {name: f"`{default}`" for name, default in _fields(stack.Settings) | _fields(GatewaySettings)}
    return {**defaults, "ATELIER_MODELS": "every model in the store", **DERIVED}


def _fields(settings: type) -> set[tuple[str, str]]:
    return {
        (name, "a name or several" if field.default is dataclasses.MISSING else str(field.default).lower())
        for name, field in zip(environment.variable_names(settings), dataclasses.fields(settings), strict=True)
    }


def test_the_readme_lists_every_setting_with_its_default() -> None:
    assert dict(SETTINGS_ROW.findall(README)) == settings_in_code()


def test_every_make_target_that_the_readme_names_exists() -> None:
    named = set(re.findall(r"`?\bmake ([a-z]+)`", README)) | set(re.findall(r"^make ([a-z]+)", README, re.MULTILINE))
    targets = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))
    assert {"run", "test"} <= named <= targets


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.name)
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", document.read_text()):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.name)
def test_every_source_file_that_is_named_exists(document: Path) -> None:
    for path in re.findall(r"`((?:training|serving|tests|proto|docs)/[\w/.-]+\.\w+)`", document.read_text()):
        assert (ROOT / path).exists(), f"{document.name} names {path}"


def test_decisions_are_numbered_without_a_gap_and_have_the_five_headings() -> None:
    records = sorted((ROOT / "docs" / "adr").glob("*.md"))
    assert [int(record.name[:4]) for record in records] == list(range(1, len(records) + 1))
    for record in records:
        headings = re.findall(r"^## (.*)$", record.read_text(), re.MULTILINE)
        assert headings == ["Status", "Context", "Decision", "Consequences", "Alternatives"], record.name
