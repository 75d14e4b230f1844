"""The playground while a model's versions come and go."""

import shutil
from collections.abc import Callable
from pathlib import Path

from tests.browser.between import Between
from tests.browser.playground import Playground

ROOT = Path(__file__).parents[2]
OpenPage = Callable[..., Playground]


def publish_again(model: Path) -> None:
    """The first version once more, under the next number."""
    staging = shutil.copytree(model / "1", model / ".staging-again")
    staging.rename(model / "2")


def test_what_was_typed_stays_under_a_new_version_and_the_focus(open_page: OpenPage, store: Path) -> None:
    page = open_page("housing")
    before = page.headline
    page.type_into("MedInc", "9")
    before = page.wait_for_another_answer(before)

    publish_again(store / "housing")

    page.wait_until(lambda: "version 2" in page.text(".maker"), "an answer of the new version")
    assert page.field("MedInc").get_attribute("value") == "9"
    page.keys("0")
    assert page.field("MedInc").get_attribute("value") == "90"
    page.wait_for_another_answer(before)


def test_an_opened_picture_stays_under_a_new_version(open_page: OpenPage, store: Path) -> None:
    page = open_page("fashion")
    page.click(".strip button", "Trouser")
    page.wait_for_answer("Trouser")
    page.upload(ROOT / "docs/examples/ankle-boot.png")
    page.wait_for_answer("Ankle boot")

    publish_again(store / "fashion")

    page.wait_until(lambda: "version 2" in page.text(".maker"), "an answer of the new version")
    assert "ankle-boot.png" in page.text(".file-name")
    assert page.headline.startswith("Ankle boot")
    assert "--data-binary '@ankle-boot.png'" in page.text(".request code")


def test_what_becomes_of_other_versions_is_shown_while_one_looks(open_page: OpenPage) -> None:
    page = open_page("housing")
    between = Between(page.browser)
    assert "77" not in page.text(".versions")

    between.change(
        "v1/models",
        "for (const one of told.models) one.versions.push({version: '77', state: 'LOADING', on_offer: false})",
    )

    page.wait_until(lambda: page.text(".versions").endswith("77 LOADING, not on offer"), "the version that comes")
