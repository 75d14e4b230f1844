"""The playground when something between it and its gateway, or in its address, is not as it should be."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from tests.browser.between import Between
from tests.browser.playground import Playground
from tests.e2e.local_stack import LocalStack

OpenPage = Callable[..., Playground]


def look_again(page: Playground, between: Between, looks: int = 2) -> None:
    """Wait until the page has looked at its gateway as often again, and so done what a look makes it do."""
    enough = between.asked("v1/models") + looks + 1  # when the last one begins, those before have been followed
    page.wait_until(lambda: between.asked("v1/models") >= enough, "looks at the gateway")


# --- answers that do not come, or not whole --------------------------------------------------------------------------


def test_it_goes_on_looking_after_metrics_that_broke_off(open_page: OpenPage) -> None:
    page = open_page("housing")
    between = Between(page.browser)
    between.cut("metrics")
    page.wait_until(lambda: between.asked("metrics"), "the look that fails")
    between.let_go()

    look_again(page, between)


# --- addresses that name no model ------------------------------------------------------------------------------------


def test_an_address_that_is_no_name_shows_the_first_model(open_page: OpenPage) -> None:
    page = open_page("100%")

    assert page.text("#models [aria-selected=true]").startswith("fashion")


@pytest.mark.parametrize("leads", ["the link", "the address"])
def test_a_way_to_a_place_on_the_page_leaves_the_model_as_it_is(open_page: OpenPage, leads: str) -> None:
    page = open_page("housing")
    between = Between(page.browser)
    page.type_into("MedInc", "9")

    if leads == "the link":
        page.script("document.querySelector('.skip').focus()")
        page.keys(Keys.ENTER)
    else:
        page.script("location.hash = '#model'")

    page.wait_until(lambda: page.script("return document.activeElement.id") == "model")
    look_again(page, between)
    assert page.text("#models [aria-selected=true]").startswith("housing")
    assert page.field("MedInc").get_attribute("value") == "9"
    assert page.script("return location.hash") == ("#housing" if leads == "the link" else "#model")


# --- what is refused -------------------------------------------------------------------------------------------------


def test_a_picture_that_is_too_large_is_sent_once(open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page("fashion")
    between = Between(page.browser)
    file = tmp_path / "large.png"
    file.write_bytes(bytes(13_000_000))  # 16 MiB and more, in base64

    page.upload(file)

    page.wait_until(lambda: "a body may have at most" in page.text(".answer .fault"))
    look_again(page, between)
    assert between.asked(":classify") == 1


# --- answers that come late ------------------------------------------------------------------------------------------


def test_the_request_is_the_one_that_was_answered(open_page: OpenPage) -> None:
    page = open_page("housing")
    between = Between(page.browser)
    before = page.headline
    page.type_into("MedInc", "9")
    page.wait_for_another_answer(before)
    between.hold(":regress")
    page.field("MedInc").send_keys("5")
    page.wait_until(lambda: between.held() == 1, "the request with 95")
    page.field("MedInc").send_keys("zz")

    between.let_go()

    page.wait_until(lambda: page.fault_of(page.field("MedInc")), "the refusal of 95zz")
    assert re.search(r'"MedInc": ?95\b', page.text(".request code"))


def test_the_grpc_port_is_shown_when_it_becomes_known(stack: LocalStack, open_page: OpenPage) -> None:
    page = open_page("housing")
    between = Between(page.browser)
    between.hold("doors.json")
    page.browser.refresh()
    page.wait_for_answer()
    page.click(".request [role=tab]", "grpcurl")

    between.let_go()

    page.wait_until(lambda: f":{stack.grpc_port} " in page.text(".request code"), "the port")


# --- documents that cannot be had ------------------------------------------------------------------------------------


def test_a_document_that_cannot_be_saved_says_why_and_leaves_no_file(open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page("housing")
    between = Between(page.browser)
    saving = {"behavior": "allow", "downloadPath": str(tmp_path)}
    page.browser.execute_cdp_cmd("Browser.setDownloadBehavior", saving)
    page.script("return import('/playground/api.js').then(({ useKey }) => useKey('a key'))")

    between.answer("documents/report", 503, {"title": "The model server is away", "status": 503})
    page.click(".links a", "Report")
    page.wait_until(lambda: page.text(".about .fault") == "Report: The model server is away", "what the gateway said")

    between.lose("documents/report")
    page.click(".links a", "Report")
    page.wait_until(lambda: "does not answer" in page.text(".about .fault"), "that nobody answered")

    between.let_go()
    page.click(".links a", "Report")
    page.wait_until(lambda: list(tmp_path.glob("report*.htm*")), "the report")
    assert page.text(".about .fault") == ""
    assert len(list(tmp_path.glob("report*"))) == 1
