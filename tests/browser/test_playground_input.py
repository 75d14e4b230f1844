"""What may come to the playground's inputs all the same: slow and unreadable files, a second finger, others' keys."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from selenium.webdriver import ActionChains, Keys

from tests.browser.playground import Playground
from tests.image_files import png

OpenPage = Callable[..., Playground]


# --- files -----------------------------------------------------------------------------------------------------------

HOLD_BACK_SLOW_FILES = """
    const decode = window.createImageBitmap;
    const isLetGo = new Promise((go) => { window.letGo = go; });
    window.createImageBitmap = (file) => {
      if (file.name !== "slow.png") return decode(file);
      window.slow = isLetGo.then(() => decode(file));
      return window.slow;
    };
"""
LET_GO = "letGo(); return slow.then(() => new Promise((done) => setTimeout(done)))"  # and what waits for it has run


@pytest.mark.parametrize("newer", ["a file", "a stroke", "Clear", "a sample"])
def test_a_file_that_is_slow_to_decode_does_not_overtake_what_came_after_it(
    open_page: OpenPage, tmp_path: Path, newer: str
) -> None:
    page = open_page("fashion")
    for name, brightness in (("slow.png", 255), ("quick.png", 99)):
        (tmp_path / name).write_bytes(png(np.full((40, 40), brightness, np.uint8)))
    page.script(HOLD_BACK_SLOW_FILES)
    page.upload(tmp_path / "slow.png")
    page.wait_until(lambda: page.script("return 'slow' in window"))

    if newer == "a file":
        page.upload(tmp_path / "quick.png")
        page.wait_until(lambda: "quick.png" in page.text(".file-name"))
    elif newer == "a stroke":
        page.draw((0.2, 0.2), (0.8, 0.8))
    elif newer == "Clear":
        page.click("button", "Clear")
    else:
        page.click(".strip button", "Trouser")

    shown = board(page)
    page.script(LET_GO)
    assert board(page) == shown


def board(page: Playground) -> list[str]:
    """What the board shows, and of which file it says so."""
    return [page.script("return document.querySelector('.board').toDataURL()"), page.text(".file-name")]


def test_a_folder_is_refused_beside_the_picture(open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page("fashion")
    shown = board(page)
    folder = tmp_path / "holidays"
    folder.mkdir()

    drop(page, folder)

    assert page.wait_until(lambda: page.text(".input .fault")) == "Picture: holidays cannot be read"
    assert page.find(".board").get_attribute("aria-invalid") == "true"
    assert board(page) == shown
    page.click(".strip button", "Trouser")
    page.wait_for_answer("Trouser")
    assert page.text(".input .fault") == ""


def drop(page: Playground, path: Path) -> None:
    """Drag what lies there onto the board, as a file manager does."""
    x, y = on_screen(page, ".board", 0.5, 0.5)
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    for step in ("dragEnter", "dragOver", "drop"):
        page.browser.execute_cdp_cmd("Input.dispatchDragEvent", {"type": step, "x": x, "y": y, "data": data})


def on_screen(page: Playground, css: str, x: float, y: float) -> tuple[float, float]:
    """Where a point of a node is, from its left upper corner (0, 0) to (1, 1)."""
    script = "const box = arguments[0].getBoundingClientRect(); return [box.left, box.top, box.width, box.height]"
    left, top, width, height = page.script(script, page.find(css))
    return left + x * width, top + y * height


# --- fingers ---------------------------------------------------------------------------------------------------------


def test_a_second_finger_draws_nothing(open_page: OpenPage) -> None:
    page = open_page("fashion", phone=True)
    page.click("button", "Clear")

    touch_with_two(page, ".board", [(0.1, 0.1), (0.2, 0.1), (0.3, 0.1)], [(0.9, 0.9), (0.8, 0.9), (0.7, 0.9)])

    assert brightness(page, 0.1, 0.1) == brightness(page, 0.3, 0.1) == 255
    assert [brightness(page, *place) for place in ((0.5, 0.5), (0.9, 0.9), (0.7, 0.9))] == [0, 0, 0]


def test_a_second_finger_moves_no_house(open_page: OpenPage) -> None:
    page = open_page("housing", phone=True)

    touch_with_two(page, ".map", [(0.3, 0.4), (0.34, 0.4), (0.34, 0.4)], [(0.8, 0.8), (0.7, 0.8), (0.6, 0.8)])

    picked = page.text(".where")
    page.draw((0.34, 0.4), css=".map")
    assert page.text(".where") == picked


def touch_with_two(page: Playground, css: str, *ways: list[tuple[float, float]]) -> None:
    """One finger, then another beside it, each on its way; both are lifted at the end."""
    page.script("arguments[0].scrollIntoView({block: 'center'})", page.find(css))

    def touch(kind: str, *places: tuple[float, float]) -> None:
        points = [dict(zip("xy", on_screen(page, css, *place), strict=True)) for place in places]
        page.browser.execute_cdp_cmd(
            "Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{**at, "id": i} for i, at in enumerate(points)]}
        )

    steps = list(zip(*ways, strict=True))
    touch("touchStart", steps[0][0])
    touch("touchStart", *steps[0])
    for step in steps[1:]:
        touch("touchMove", *step)
    touch("touchEnd")


def brightness(page: Playground, x: float, y: float) -> int:
    """Of the board, from 0 to 255, at a point from (0, 0) to (1, 1)."""
    script = """const [x, y] = arguments, board = document.querySelector(".board");
        return board.getContext("2d").getImageData(x * board.width, y * board.height, 1, 1).data[0]"""
    return int(page.script(script, x, y))


# --- keys ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "nodes"),
    [
        ("fashion", ["#models [aria-selected=true]", ".request [aria-selected=true]", ".board"]),
        ("housing", [".map", '[aria-label="MedInc, slider"]']),
    ],
)
def test_a_key_together_with_alt_control_or_meta_is_left_to_the_browser(
    open_page: OpenPage, model: str, nodes: list[str]
) -> None:
    page = open_page(model)
    page.script(
        """window.taken = [];
        addEventListener("keydown", (event) => {
          if (event.key !== "ArrowLeft") return;
          taken.push(event.defaultPrevented);
          event.preventDefault(); // or it goes back, away from here
        })"""
    )
    for css in nodes:
        for modifier in (Keys.ALT, Keys.CONTROL, Keys.META):
            page.script("arguments[0].focus()", page.find(css))
            ActionChains(page.browser).key_down(modifier).send_keys(Keys.ARROW_LEFT).key_up(modifier).perform()

    assert page.script("return taken") == [False] * 3 * len(nodes)


# --- leaving ---------------------------------------------------------------------------------------------------------


def test_a_view_follows_the_theme_and_is_let_go_once_it_is_left(open_page: OpenPage) -> None:
    page = open_page("housing")
    drawn = "return document.querySelector('.map').toDataURL()"
    light = page.script(drawn)
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": dark})
    page.wait_until(lambda: page.script(drawn) != light, "the map in the colours of the night")

    page.script("window.left = new WeakRef(document.querySelector('.map'))")
    page.click("#models .tab", "fashion")
    page.wait_until(lambda: page.script("return !document.querySelector('.map')"))
    page.wait_for_answer()

    def is_let_go() -> bool:
        page.browser.execute_cdp_cmd("HeapProfiler.collectGarbage", {})
        return bool(page.script("return left.deref() === undefined"))

    page.wait_until(is_let_go, "the map that was left to be no more")
