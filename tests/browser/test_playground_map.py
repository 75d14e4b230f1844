"""The map of a town, whose cells are much smaller than a hundredth of a degree."""

import pytest
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By

NORTH, WEST, HEIGHT, WIDTH, ROWS, COLUMNS = 42.06, -93.69, 0.0016, 0.0021, 40, 66
PLACE = {
    "north": NORTH,
    "west": WEST,
    "cell_height": HEIGHT,
    "cell_width": WIDTH,
    "cells": ["5" * COLUMNS] * ROWS,
    "levels": [*range(1, 10)],
}


@pytest.fixture
def town(modules: Chrome) -> Chrome:
    """Its map, which writes down the places that are picked and what it says of them."""
    script = """return import("/playground/map.js").then(({ PlaceMap }) => {
        window.picked = [];
        const map = new PlaceMap(arguments[0], "USD", (latitude, longitude) => {
          map.show(latitude, longitude);
          picked.push([latitude, longitude, map.where.textContent]);
        });
        map.canvas.style.width = "660px";
        document.body.append(map.node);
        map.show(42.03, -93.62);
    })"""
    modules.execute_script(script, PLACE)
    return modules


def test_the_arrow_keys_go_a_cell_at_a_time(town: Chrome) -> None:
    town.execute_script("document.querySelector('canvas').focus()")
    ActionChains(town).send_keys(Keys.ARROW_UP, Keys.ARROW_UP, Keys.ARROW_LEFT).perform()

    picked = town.execute_script("return picked")

    expected = [(42.0316, -93.62), (42.0332, -93.62), (42.0332, -93.6221)]
    assert [tuple(place[:2]) for place in picked] == expected
    assert [place[2] for place in picked] == [f"{north}° N, {-east}° W" for north, east in expected]


def test_a_click_picks_the_cell_that_is_clicked(town: Chrome) -> None:
    canvas = town.find_element(By.CSS_SELECTOR, "canvas")
    width, height = canvas.size["width"], canvas.size["height"]
    across, down = round(width * (20.5 / COLUMNS - 0.5)), round(height * (10.5 / ROWS - 0.5))
    ActionChains(town).move_to_element_with_offset(canvas, across, down).click().perform()

    [[latitude, longitude, _]] = town.execute_script("return picked")

    assert latitude == pytest.approx(NORTH - 10.5 * HEIGHT, abs=HEIGHT / 5)
    assert longitude == pytest.approx(WEST + 20.5 * WIDTH, abs=WIDTH / 5)
