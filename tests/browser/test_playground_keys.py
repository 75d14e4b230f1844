"""The playground where the gateway asks for API keys."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.gateway.api_keys import make_key
from tests.browser.chromium import chromium
from tests.browser.playground import Playground
from tests.e2e.local_stack import LocalStack


@pytest.fixture(scope="module")
def key_and_stack(trained_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, LocalStack]]:
    """A stack that knows one key."""
    key, line = make_key("ada", "")
    keys = tmp_path_factory.mktemp("keys") / "keys"
    keys.write_text(line + "\n")
    running = LocalStack(trained_store, ATELIER_API_KEYS_FILE=str(keys))
    try:
        running.wait_for_output("up: http://127.0.0.1")
        yield key, running
    finally:
        running.stop()


def test_it_asks_for_the_key_shows_it_with_every_call_and_forgets_it(
    key_and_stack: tuple[str, LocalStack], tmp_path: Path
) -> None:
    key, stack = key_and_stack
    with chromium(tmp_path / "profile") as browser:
        page = Playground(browser, stack.url, "housing", is_open=False)
        page.wait_until(lambda: page.find("#key").is_displayed())
        assert page.tabs == []
        page.find("#key-field").send_keys("a wrong one\n")
        page.wait_until(lambda: "does not know this key" in page.text("#key"))

        page.find("#key-field").clear()
        page.find("#key-field").send_keys(f"{key}\n")

        page.wait_for_answer()
        assert page.tabs == ["fashion", "housing"]
        assert not page.find("#key").is_displayed()
        assert '-H "X-API-Key: $ATELIER_KEY"' in page.text(".request code")
        assert key not in page.script("return document.documentElement.outerHTML")
        kept = "return JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}])"
        assert json.loads(page.script(kept)) == ["", {}, {}]

        # A link cannot show a key, so the report is saved.
        saved = {"behavior": "allow", "downloadPath": str(tmp_path)}
        browser.execute_cdp_cmd("Browser.setDownloadBehavior", saved)
        page.click(".links a", "Report")
        page.wait_until(lambda: list(tmp_path.glob("report*.htm*")))

        browser.refresh()
        page.wait_until(lambda: page.find("#key").is_displayed(), "the field again: the key was in memory only")
