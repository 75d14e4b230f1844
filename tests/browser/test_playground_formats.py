"""Numbers as the playground shows them."""

from selenium.webdriver import Chrome


def test_a_number_of_any_size_is_shown_short(modules: Chrome) -> None:
    shown = {
        0: "0",
        41: "41",
        -1425.4: "-1,425",
        0.000125: "0.000125",
        1234567.8: "1,234,568",
        2e21: "2E21",
        -1.2345e38: "-1.23E38",
        1.7e308: "1.7E308",
        1.4e-45: "1.4E-45",
    }
    script = "return import('/playground/formats.js').then(({ plain }) => arguments[0].map((value) => plain(value)))"

    assert modules.execute_script(script, list(shown)) == list(shown.values())


def test_a_probability_that_is_neither_0_nor_1_is_not_shown_as_either(modules: Chrome) -> None:
    shares = [i / 100_000 for i in range(1, 100_000)]
    script = (
        "return import('/playground/formats.js').then(({ percent }) => arguments[0].map((share) => percent(share)))"
    )

    shown = modules.execute_script(script, shares)

    assert {"0%", "0.0%", "100%", "100.0%"}.isdisjoint(shown)
    assert modules.execute_script(script, [0, 0.00001, 0.0004, 0.012, 0.5]) == ["0%", "<0.1%", "<0.1%", "1.2%", "50%"]
    assert modules.execute_script(script, [0.99, 0.9951, 0.9994, 0.99999, 1]) == [
        "99%",
        "99.5%",
        "99.9%",
        ">99.9%",
        "100%",
    ]
