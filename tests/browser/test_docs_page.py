"""The page at /docs in a real Chromium: what it shows of the API, and what can be tried there."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from tests.browser.between import Between
from tests.browser.chromium import chromium
from tests.browser.playground import DEADLINE_S
from tests.e2e.local_stack import LocalStack

REGRESS = "/v1/models/housing:regress"
OPERATION = """
    [...document.querySelectorAll("main > details")]
      .find((one) => one.querySelector("code").textContent === arguments[0])""".strip()


@pytest.fixture
def browser(stack: LocalStack, tmp_path: Path) -> Iterator[Chrome]:
    """A browser that has the page open."""
    with chromium(tmp_path / "profile") as opened:
        opened.get(f"{stack.url}/docs")
        wait_for(opened, "document.querySelector('#about').textContent.startsWith('Atelier')")
        yield opened


def wait_for(browser: Chrome, condition: str) -> None:
    """Until a condition, in JavaScript, holds."""
    WebDriverWait(browser, DEADLINE_S).until(lambda _: browser.execute_script(f"return {condition}"), condition)


@pytest.mark.parametrize("happens", ["lose", "cut"])
def test_a_description_that_does_not_come_whole_is_told_of(browser: Chrome, happens: str) -> None:
    getattr(Between(browser), happens)("openapi.json")

    browser.refresh()

    wait_for(browser, "document.querySelector('#about').textContent.startsWith('openapi.json could not be read: ')")


def test_an_example_makes_room_for_another_media_type_and_what_was_typed_stays(browser: Chrome) -> None:
    browser.execute_script(f"{OPERATION}.open = true", REGRESS)
    body, types, send, status = (
        browser.execute_script(f"return {OPERATION}.querySelector(arguments[1])", REGRESS, css)
        for css in ("textarea", "select", "button", "[aria-live]")
    )
    example = body.get_property("value")
    assert '"instances"' in example

    Select(types).select_by_visible_text("text/csv")

    assert body.get_property("value") == ""
    names = body.get_attribute("placeholder").partition("e.g. ")[2].partition(", then")[0]
    body.send_keys(f"{names}\n8.3252,41,6.984,1.0238,322,2.5556,37.88,-122.23\n")
    typed = body.get_property("value")
    send.click()
    WebDriverWait(browser, DEADLINE_S).until(lambda _: status.text.startswith("200"))
    Select(types).select_by_visible_text("application/json")
    assert body.get_property("value") == typed
    body.clear()
    Select(types).select_by_visible_text("text/csv")
    Select(types).select_by_visible_text("application/json")
    assert body.get_property("value") == example
