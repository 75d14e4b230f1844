"""The playground as somebody at the browser has it: what they can do there, and what they see."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from selenium.webdriver import ActionChains, Chrome
from selenium.webdriver.common.action_chains import ActionBuilder
from selenium.webdriver.common.actions import interaction
from selenium.webdriver.common.actions.pointer_input import PointerInput
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

DEADLINE_S = 60.0


class Playground:
    """One open page."""

    def __init__(self, browser: Chrome, url: str, model: str, *, is_open: bool = True) -> None:
        """Where the gateway is not open to everybody, nothing is waited for."""
        self.browser = browser
        browser.get(f"{url}/#{model}")
        if is_open:
            self.wait_for_answer()

    # --- what one sees

    def find(self, css: str) -> WebElement:
        return self.browser.find_element(By.CSS_SELECTOR, css)

    def all(self, css: str) -> list[WebElement]:
        return self.browser.find_elements(By.CSS_SELECTOR, css)

    def text(self, css: str) -> str:
        """The texts of all that match; "" where nothing does. Taken at once: the page changes while one looks."""
        script = "return [...document.querySelectorAll(arguments[0])].map((node) => node.innerText).join('\\n')"
        return str(self.script(script, css))

    def script(self, script: str, *arguments: Any) -> Any:
        return self.browser.execute_script(script, *arguments)

    @property
    def headline(self) -> str:
        return self.text(".answer .headline")

    @property
    def value(self) -> float:
        """The number in the headline, of a model that gives one."""
        return float(self.text(".answer .headline strong").replace(",", ""))

    @property
    def tabs(self) -> list[str]:
        return [line for line in self.text("#models .tab > span:not(.lamp)").splitlines() if line]

    def in_set(self) -> list[str]:
        """The classes whose bars are marked."""
        return self.text(".bars .in-set .name").replace("truth", "").split("\n")

    # --- what one does

    def draw(self, *points: tuple[float, float], css: str = ".board", kind: str = interaction.POINTER_MOUSE) -> None:
        """A stroke through points from (0, 0), the left upper corner, to (1, 1)."""
        node = self.find(css)
        self.script("arguments[0].scrollIntoView({block: 'center'})", node)
        pointer = ActionBuilder(self.browser, mouse=PointerInput(kind, "pointer"), duration=20)
        size = node.size
        places = [(round((x - 0.5) * size["width"]), round((y - 0.5) * size["height"])) for x, y in points]
        pointer.pointer_action.move_to(node, *places[0]).pointer_down()
        for place in places[1:]:
            pointer.pointer_action.move_to(node, *place)
        pointer.pointer_action.pointer_up()
        pointer.perform()

    def click(self, css: str, text: str = "") -> None:
        """Click the first that matches and has this text."""
        node = next(node for node in self.all(css) if text in node.text)
        self.script("arguments[0].scrollIntoView({block: 'center'})", node)
        node.click()

    def field(self, name: str) -> WebElement:
        """The field that is labelled with a feature's name."""
        label = next(label for label in self.all(".field-head label") if label.text == name)
        return self.find(f"#{label.get_attribute('for')}")

    def fault_of(self, field: WebElement) -> str:
        """What is said beside a field."""
        return str(self.script("return arguments[0].closest('.field').querySelector('.fault').innerText", field))

    def type_into(self, name: str, text: str) -> None:
        """Replace what a feature's field holds."""
        field = self.field(name)
        field.clear()
        field.send_keys(text)

    def upload(self, file: Path) -> None:
        self.find("input[type=file]").send_keys(str(file))

    def keys(self, *keys: str) -> None:
        """Press keys, wherever the focus is."""
        actions = ActionChains(self.browser, duration=0)
        for key in keys:
            actions.send_keys(key)
        actions.perform()

    # --- what one waits for

    def wait_until(self, condition: Callable[[], Any], what: str = "") -> Any:
        deadline = time.monotonic() + DEADLINE_S
        while not (seen := condition()):
            assert time.monotonic() < deadline, f"waited in vain{what and ' for '}{what}: {self.text('body')[:2000]}"
            time.sleep(0.05)
        return seen

    def wait_for_answer(self, pattern: str = ".") -> str:
        """An answer that is of now, with such a headline."""

        def answered() -> bool:
            return not self.all(".answer.stale") and bool(re.search(pattern, self.headline))

        self.wait_until(answered, f"an answer like {pattern!r}")
        return self.headline

    def wait_for_another_answer(self, before: str) -> str:
        """An answer whose headline is not that one."""
        self.wait_until(lambda: not self.all(".answer.stale") and self.headline not in (before, ""), f"not {before!r}")
        return self.headline
