import xml.etree.ElementTree as ET

import pytest

from training.report.svg import Scale, chart, dots, element, percent, plain_number


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0.82, 0.94, [0.85, 0.9]),
        (1, 30, [10, 20, 30]),
        (-3, 4, [-2, 0, 2, 4]),
        (0, 52_000, [0, 20_000, 40_000]),
        (5, 5, [5]),
    ],
)
def test_ticks_are_round_numbers_inside_the_range(low: float, high: float, expected: list[float]) -> None:
    assert Scale(low, high, 0, 100).ticks() == pytest.approx(expected)


def test_a_scale_puts_its_ends_on_the_chart_s_ends() -> None:
    down = Scale(10, 20, 300, 0)
    assert [down(10), down(15), down(20)] == [300, 150, 0]
    assert Scale(3, 3, 0, 100)(3) == 0


def test_words_cannot_become_markup() -> None:
    made = element("text", class_='a" onload="b', stroke_width=2)
    assert ET.fromstring(made).attrib == {"class": 'a" onload="b', "stroke-width": "2"}
    assert ET.fromstring(chart("<b>", "a & b")).find("figcaption").text == "<b>"


def test_a_chart_says_what_it_shows_to_those_who_cannot_see_it() -> None:
    svg = ET.fromstring(chart("Errors by part", "South: 0.5")).find("svg")
    named = {child.get("id"): child.text for child in svg}
    assert svg.get("role") == "img"
    assert named[svg.get("aria-labelledby")] == "Errors by part"
    assert named[svg.get("aria-describedby")] == "South: 0.5"


def test_dots_that_fall_on_each_other_are_drawn_once() -> None:
    assert dots([(1.0, 2.0), (1.01, 2.0), (3.25, 2.0)], "a").count("M") == 2


def test_numbers_have_no_more_digits_than_they_need() -> None:
    assert [plain_number(0.1 + 0.2), plain_number(12000.0), percent(0.9), percent(0.835)] == [
        "0.3",
        "12000",
        "90 %",
        "83.5 %",
    ]
