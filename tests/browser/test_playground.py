"""The playground in a real Chromium, in front of the real stack, as people use it."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.protobuf import json_format
from selenium.webdriver import Chrome
from selenium.webdriver.common.actions import interaction
from selenium.webdriver.common.keys import Keys

from serving.generated.atelier.prediction.v1 import prediction_pb2 as messages
from tests.browser.axe import axe_source
from tests.browser.chromium import PHONE, complaints, requests
from tests.browser.playground import Playground
from tests.browser.third_model import publish_houses
from tests.e2e.local_stack import LocalStack
from tests.image_files import png

ROOT = Path(__file__).parents[2]
MAX_BYTES = 100_000
OpenPage = Callable[..., Playground]

# Trousers, in strokes from corner (0, 0) to corner (1, 1).
LEGS = [(0.36, 0.95), (0.4, 0.1), (0.6, 0.1), (0.64, 0.95)]


# --- a picture -------------------------------------------------------------------------------------------------------


def test_what_is_drawn_is_answered_at_once_and_live(open_page: OpenPage) -> None:
    page = open_page("fashion")
    before = page.headline
    page.click("button", "Clear")
    page.click(".tools label", "broad")
    blank = page.wait_for_another_answer(before)

    page.draw(*LEGS)

    assert page.wait_for_answer("Trouser|Dress") != blank
    assert len(page.all(".bars li")) == 10
    assert page.in_set(), "the bars of the prediction set are marked"


def test_a_blank_picture_is_unlike_the_training_data_and_it_says_so(open_page: OpenPage) -> None:
    page = open_page("fashion")
    assert "Like the training data" in page.text(".trust")

    page.click("button", "Clear")

    page.wait_until(lambda: "Unlike the training data" in page.text(".trust .warning"))


def test_a_sample_is_answered_and_its_truth_shown_until_it_is_drawn_on(open_page: OpenPage) -> None:
    page = open_page("fashion")
    page.click(".strip button", "Trouser")
    page.wait_for_answer("Trouser")
    assert "truth" in page.text(".bars .in-set")
    assert page.find(".strip [aria-pressed=true]").text == "Trouser"

    page.draw((0.1, 0.5), (0.2, 0.5))

    page.wait_until(lambda: page.text(".truth") == "")
    assert page.all(".strip [aria-pressed=true]") == []


def test_a_png_is_uploaded_dropped_and_pasted(open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page("fashion")
    page.upload(ROOT / "docs/examples/ankle-boot.png")
    page.wait_until(lambda: "ankle-boot.png" in page.text(".file-name"))
    page.wait_until(lambda: "--data-binary '@ankle-boot.png'" in page.text(".request code"), "its own request")
    page.wait_for_answer("Ankle boot")

    bright = np.zeros((40, 40), np.uint8)
    bright[2:38, 10:30] = 255  # a coat, or a bag, or a shirt: no boot
    for event, carrier in (("drop", "dataTransfer"), ("paste", "clipboardData")):
        page.click(".strip button", "Ankle boot")
        page.wait_for_answer("Ankle boot")
        hand_over(page, png(bright), f"{event}.png", event, carrier)
        page.wait_until(lambda name=f"{event}.png": name in page.text(".file-name"))  # type: ignore[misc]
        page.wait_for_answer("^(?!Ankle boot)")


def hand_over(page: Playground, file: bytes, name: str, event: str, carrier: str) -> None:
    """A file dropped or pasted, as the browser tells the page."""
    script = """
        const [bytes, name, event, carrier] = arguments;
        const data = new DataTransfer();
        data.items.add(new File([Uint8Array.from(bytes)], name, {type: "image/png"}));
        const Kind = event === "drop" ? DragEvent : ClipboardEvent;
        const told = new Kind(event, {[carrier]: data, bubbles: true, cancelable: true});
        document.querySelector(".board").dispatchEvent(told);
    """
    page.script(script, list(file), name, event, carrier)


def test_what_is_no_picture_is_refused_beside_the_picture(open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page("fashion")
    file = tmp_path / "novel.png"
    file.write_text("It was a dark and stormy night.")

    page.upload(file)

    fault = page.wait_until(lambda: page.text(".input .fault"))
    assert fault == "Picture: expected a PNG or JPEG image, got bytes that are neither"
    assert page.find(".board").get_attribute("aria-invalid") == "true"
    assert page.all(".answer.stale"), "the last answer is not shown as one to this"
    page.click(".strip button", "Trouser")
    page.wait_for_answer("Trouser")
    assert page.text(".input .fault") == ""


# --- features --------------------------------------------------------------------------------------------------------


def test_sliders_move_the_value_and_its_interval(open_page: OpenPage) -> None:
    page = open_page("housing")
    before, interval = page.headline, page.text(".subline")
    slider = page.find('[aria-label="MedInc, slider"]')

    page.draw((0.1, 0.8), (0.9, 0.8), css='[aria-label="MedInc, slider"]')

    assert float(page.field("MedInc").get_attribute("value") or 0) > 10
    page.wait_until(lambda: page.value > float(before.split()[0]) + 1, "a far richer place to be dearer")
    assert page.text(".subline") != interval
    assert re.fullmatch(r"90% interval: [-\d.]+ to [-\d.]+", page.text(".subline"))
    assert slider.get_attribute("aria-valuetext").endswith("10k USD")


def test_a_click_on_the_map_moves_the_house(open_page: OpenPage) -> None:
    page = open_page("housing")
    place = page.script("return fetch('v1/models/housing/metadata').then((got) => got.json())")["input"]["place"]
    height, width = len(place["cells"]), len(place["cells"][0])

    def value_at(row: float, column: float) -> float:
        before = page.headline
        page.draw((column / width, row / height), css=".map")
        page.wait_for_another_answer(before)
        where = [float(page.field(name).get_attribute("value") or 0) for name in ("Latitude", "Longitude")]
        expected = [place["north"] - row * place["cell_height"], place["west"] + column * place["cell_width"]]
        assert where == pytest.approx(expected, abs=0.05)
        return page.value

    cheap = cell_of(place["cells"], "0")
    dear = cell_of(place["cells"], "9")
    assert value_at(*dear) > value_at(*cheap)


def cell_of(cells: list[str], digit: str) -> tuple[float, float]:
    """The middle of a cell with that digit that has others of it around: (row, column)."""
    middle = range(1, len(cells) - 1)
    found = [
        (sum(line[column - 1 : column + 2].count(digit) for line in cells[row - 1 : row + 2]), row, column)
        for row in middle
        for column in range(1, len(cells[0]) - 1)
        if cells[row][column] == digit
    ]
    _, row, column = max(found)
    return row + 0.5, column + 0.5


def test_a_broken_field_is_told_at_the_field_and_mended_there(open_page: OpenPage) -> None:
    page = open_page("housing")
    page.type_into("AveRooms", "many")

    fault = page.wait_until(lambda: page.fault_of(page.field("AveRooms")))
    assert fault == "expected a number, got a string"
    assert page.field("AveRooms").get_attribute("aria-invalid") == "true"
    assert [field.get_attribute("aria-invalid") for field in page.all(".field-head input")].count("true") == 1
    assert "see the marked field" in page.text(".answer .fault")

    page.type_into("AveRooms", "5")

    page.wait_until(lambda: not page.all(".answer.stale"))
    assert page.fault_of(page.field("AveRooms")) == ""


def test_a_house_far_away_is_unlike_the_training_data(open_page: OpenPage) -> None:
    page = open_page("housing")
    page.type_into("Longitude", "-74")  # New York

    page.wait_until(lambda: "Unlike the training data" in page.text(".trust .warning"))
    assert page.all(".field.outside"), "the field shows that training never saw such a value"


# --- the same request, the documents, the state ----------------------------------------------------------------------


@pytest.mark.parametrize(("model", "answer"), [("fashion", "Trouser"), ("housing", None)])
def test_the_request_as_curl_python_and_grpcurl_gives_the_same_answer(
    stack: LocalStack, open_page: OpenPage, model: str, answer: str | None
) -> None:
    page = open_page(model)
    before = page.headline
    page.click(".strip button:nth-child(3)" if answer else ".chips button:nth-child(7)")
    page.wait_for_another_answer(before)
    texts = {}
    for name in ("curl", "Python", "grpcurl"):
        page.click(".request [role=tab]", name)
        texts[name] = page.script("return document.querySelector('.request code').textContent")
    expected = answer or str(round(page.value, 1))

    curl = subprocess.run(["bash", "-c", texts["curl"]], capture_output=True, text=True, check=True).stdout
    [prediction] = json.loads(curl)["predictions"]
    python = subprocess.run(
        [sys.executable, "-c", texts["Python"]], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    by_grpc = ask_as_grpcurl_would(texts["grpcurl"], stack)

    shown = [prediction.get("class_name") or str(round(prediction["value"], 1)), by_grpc]
    assert shown == [expected] * 2
    assert (f"'{answer}'" if answer else f"'value': {prediction['value']}"[:12]) in python


@pytest.mark.parametrize("is_secure", [True, False], ids=["on this machine", "over HTTP from another one"])
def test_the_request_and_the_digest_are_copied(open_page: OpenPage, is_secure: bool) -> None:
    page = open_page("housing")
    permissions = {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    page.browser.execute_cdp_cmd("Browser.grantPermissions", permissions)
    page.script("window.clipboard = navigator.clipboard")
    if not is_secure:
        page.script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    code = page.script("return document.querySelector('.request code').textContent")
    digest = page.find(".maker code").get_attribute("title")

    for button, text in ((".request .copy", code), (".maker .copy", digest)):
        page.click(button)
        page.wait_until(lambda button=button: page.text(button) == "Copied")  # type: ignore[misc]
        assert page.script("return clipboard.readText()") == text


def ask_as_grpcurl_would(command: str, stack: LocalStack) -> str:
    """Send what the command line says, by its own words; the class, or the value to one digit."""
    program, plaintext, data, body, address, method = shlex.split(command.replace("\\\n", ""))
    assert (program, plaintext, data, address) == ("grpcurl", "-plaintext", "-d", f"127.0.0.1:{stack.grpc_port}")
    kind = method.rpartition("/")[2]
    request = json_format.Parse(body, getattr(messages, f"{kind}Request")())
    with grpc.insecure_channel(address) as channel:
        reply_type = getattr(messages, f"{kind}Response")
        call = channel.unary_unary(f"/{method}", type(request).SerializeToString, reply_type.FromString)
        [prediction] = call(request, timeout=10).predictions
    return prediction.class_name if kind == "Classify" else str(round(prediction.value, 1))


def test_report_and_card_of_the_version_open_beside_the_page_and_may_do_nothing(open_page: OpenPage) -> None:
    page = open_page("housing")
    browser = page.browser
    complaints(browser)
    first = browser.current_window_handle
    texts = {}
    for title in ("Report", "Model card"):
        page.click(".links a", title)
        page.wait_until(lambda: len(browser.window_handles) == 2)
        browser.switch_to.window(next(handle for handle in browser.window_handles if handle != first))
        page.wait_until(lambda: len(page.text("body")) > 1000)
        texts[title] = page.text("body")
        assert re.search(r"/v1/models/housing/versions/\d+/documents/", browser.current_url)
        if title == "Report":
            assert page.script(
                "return [origin, document.styleSheets.length, document.querySelectorAll('svg').length > 3]"
            ) == [*("null", 1, True)]
        browser.close()
        browser.switch_to.window(first)

    assert "All test rows" in texts["Report"]
    assert "Intended use" in texts["Model card"]
    assert complaints(browser) == []


def test_the_strip_shows_state_rate_and_latency(open_page: OpenPage) -> None:
    page = open_page("housing")
    assert "ready" in page.text("#status")
    for place in ((0.2, 0.2), (0.3, 0.3), (0.4, 0.4)):
        page.draw(place, css=".map")

    page.wait_until(lambda: requests_per_second(page) > 0, "a rate above none")
    page.wait_until(lambda: re.search(r"[\d.]+ ms mean", page.text("#status")), "a latency")
    assert re.search(r"housing · version 1 ·\s\w{10}…", page.text(".maker"))
    assert re.search(r"[\d.]+ ms", page.text(".maker .took"))


def requests_per_second(page: Playground) -> float:
    """What the strip says; 0 while it does not know."""
    [shown] = re.findall(r"([\d.]+|–) requests/s", page.text("#status"))
    return 0.0 if shown == "–" else float(shown)


def test_an_address_names_a_model(stack: LocalStack, open_page: OpenPage) -> None:
    page = open_page("housing")
    assert page.text("#models [aria-selected=true]").startswith("housing")

    page.browser.get(f"{stack.url}/#fashion")

    page.wait_until(lambda: page.text("#models [aria-selected=true]").startswith("fashion"))
    page.wait_for_answer("Ankle boot")


# --- when things change ----------------------------------------------------------------------------------------------


def test_without_its_model_server_it_says_so_and_comes_back_by_itself(stack: LocalStack, open_page: OpenPage) -> None:
    page = open_page("housing")
    stack.model_server().kill()
    page.wait_until(lambda: "model server" in page.text("#trouble"), "the reason")
    assert "not ready" in page.text("#status")
    page.type_into("MedInc", "9")
    page.wait_until(lambda: page.all(".answer.stale") and "model server" in page.text(".answer .fault"), "a refusal")

    page.wait_until(lambda: page.text("#trouble") == "", "the model server to come back")
    page.wait_for_answer()
    assert page.text(".answer .fault") == ""


def test_without_its_gateway_it_says_so_and_comes_back_by_itself(open_page: OpenPage) -> None:
    page = open_page("fashion")
    network = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    page.browser.execute_cdp_cmd("Network.enable", {})
    page.browser.execute_cdp_cmd("Network.emulateNetworkConditions", {"offline": True, **network})
    page.wait_until(lambda: "The gateway does not answer" in page.text("#trouble"))
    before = page.headline
    page.click("button", "Clear")
    page.wait_until(lambda: page.all(".answer.stale"))

    page.browser.execute_cdp_cmd("Network.emulateNetworkConditions", {"offline": False, **network})

    page.wait_until(lambda: page.text("#trouble") == "")
    page.wait_for_another_answer(before)


def test_a_third_model_published_meanwhile_appears_and_is_asked(open_page: OpenPage, store: Path) -> None:
    page = open_page("fashion")
    assert page.tabs == ["fashion", "housing"]

    publish_houses(store)

    page.wait_until(lambda: page.tabs == ["fashion", "housing", "houses"], "a third tab")
    page.click("#models .tab", "houses")
    page.wait_until(lambda: page.text(".lead") == "made up")
    before = page.wait_for_answer()
    page.type_into("rooms", "20")
    page.wait_for_another_answer(before)
    assert page.all(".map, .links a[href*=documents]") == [], "a model without a place or documents shows none"


# --- everybody -------------------------------------------------------------------------------------------------------


def test_all_of_it_works_by_keyboard_alone_and_the_focus_is_seen(open_page: OpenPage) -> None:
    page = open_page("fashion")
    keyboard = Keyboard(page)
    keyboard.go_to(".board")
    before = page.headline
    page.keys(Keys.DELETE)
    page.wait_for_another_answer(before)
    page.keys(" ", *[Keys.ARROW_UP] * 8, *[Keys.ARROW_RIGHT] * 6, *[Keys.ARROW_DOWN] * 16, " ")
    assert page.script(
        """const board = document.querySelector(".board");
        const { data } = board.getContext("2d").getImageData(0, 0, board.width, board.height);
        return data.some((value, i) => i % 4 === 0 && value > 200)"""
    )
    keyboard.go_to(".strip button:nth-child(3)")
    page.keys(Keys.ENTER)
    page.wait_for_answer("Trouser")
    keyboard.go_to(".request [role=tab]")
    page.keys(Keys.ARROW_RIGHT)
    assert page.text(".request [aria-selected=true]") == "Python"
    assert "client.classify" in page.text(".request code")

    page.script("document.activeElement.blur()")
    keyboard.go_to("#models [role=tab]")
    page.keys(Keys.ARROW_RIGHT)
    page.wait_until(lambda: "Californian" in page.text(".lead"))
    keyboard.go_to(".map")
    before = page.wait_for_answer()
    page.keys(Keys.ARROW_LEFT, Keys.ARROW_UP, Keys.ARROW_UP, Keys.ARROW_UP)
    before = page.wait_for_another_answer(before)
    keyboard.go_to('[aria-label="MedInc, slider"]')
    poor = float(page.field("MedInc").get_attribute("value") or 0)
    page.keys(*[Keys.PAGE_UP] * 10)
    assert float(page.field("MedInc").get_attribute("value") or 0) > poor + 0.5
    before = page.wait_for_another_answer(before)
    keyboard.go_to(".field:nth-child(2) .field-head input")
    page.keys(Keys.END, "0")
    page.wait_for_another_answer(before)
    keyboard.go_to(".links a")
    assert keyboard.unseen == []


class Keyboard:
    """Somebody without a mouse: walks by Tab, and notes where the focus could not be seen."""

    def __init__(self, page: Playground) -> None:
        self.page = page
        self.unseen: list[str] = []

    def go_to(self, css: str) -> None:
        for _ in range(80):
            self.page.keys(Keys.TAB)
            there, outline, name = self.page.script(
                """const node = document.activeElement;
                const seen = node.classList.contains("unseen") ? node.nextElementSibling : node;
                const { outlineStyle } = getComputedStyle(seen);
                return [node.matches(arguments[0]), outlineStyle, node.outerHTML.slice(0, 80)]""",
                css,
            )
            if outline == "none" and not name.startswith("<body"):  # the page's end: the browser's own turn
                self.unseen.append(name)
            if there:
                return
        raise AssertionError(f"no way by Tab to {css}")


@pytest.mark.parametrize("model", ["fashion", "housing"])
def test_it_fits_a_phone_and_is_used_by_touch(open_page: OpenPage, model: str) -> None:
    page = open_page(model, phone=True)
    assert page.script("return document.documentElement.scrollWidth") <= PHONE[0]
    before = page.headline
    if model == "fashion":
        page.click("button", "Clear")
        page.wait_for_another_answer(before)
        page.draw(*LEGS, kind=interaction.POINTER_TOUCH)
    else:
        page.draw((0.3, 0.5), (0.4, 0.6), css=".map", kind=interaction.POINTER_TOUCH)
        page.wait_for_another_answer(before)
        page.script("document.querySelector('.field:nth-child(5)').scrollIntoView({block: 'end'})")
        box = page.script("return document.querySelector('.answer').getBoundingClientRect().toJSON()")
        assert box["top"] >= 0, "the answer stays in sight of the sliders"
        assert box["bottom"] <= PHONE[1]
    page.wait_for_answer()
    assert page.script("return document.documentElement.scrollWidth") <= PHONE[0]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("phone", [False, True], ids=["desktop", "phone"])
def test_axe_finds_no_serious_violation(
    open_page: OpenPage, pytestconfig: pytest.Config, dark: bool, phone: bool
) -> None:
    source = axe_source(Path(pytestconfig.cache.mkdir("axe-core")))  # type: ignore[union-attr]
    page = open_page("fashion", dark=dark, phone=phone)
    found = judged_by_axe(page.browser, source)
    page.click("button", "Clear")
    page.wait_until(lambda: page.text(".trust .warning"))
    found += judged_by_axe(page.browser, source)
    page.click("#models .tab", "housing")
    page.wait_until(lambda: "Californian" in page.text(".lead"))
    page.wait_for_answer()
    found += judged_by_axe(page.browser, source)
    page.type_into("HouseAge", "old")
    page.wait_until(lambda: page.all(".answer.stale"))
    found += judged_by_axe(page.browser, source)

    assert [one for one in found if one["impact"] in ("serious", "critical")] == []


def judged_by_axe(browser: Chrome, source: str) -> list[dict[str, object]]:
    """Every violation, of the rules of WCAG 2.2 A and AA and of good practice."""
    browser.execute_script("if (!window.axe) { %s }" % source)  # noqa: UP031 (braces)
    browser.set_script_timeout(120)
    found = browser.execute_async_script("axe.run().then((result) => arguments[0](result.violations))")
    return [
        {
            "rule": one["id"],
            "impact": one["impact"],
            "nodes": [node["html"][:120] + str(node["any"][:1])[:300] for node in one["nodes"]],
        }
        for one in found
    ]


def test_nothing_moves_for_who_wants_no_motion(open_page: OpenPage) -> None:
    page = open_page("fashion")
    features = [{"name": "prefers-reduced-motion", "value": "reduce"}]
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    assert page.script("return getComputedStyle(document.querySelector('.fill')).transitionDuration") in ("0s", "")


def test_no_other_host_is_asked_nothing_is_kept_and_the_policy_holds(
    stack: LocalStack, open_page: OpenPage, capsys: pytest.CaptureFixture[str]
) -> None:
    page = open_page("fashion")
    page.draw(*LEGS)
    page.upload(ROOT / "docs/examples/ankle-boot.png")
    page.wait_until(lambda: "ankle-boot.png" in page.text(".file-name"))
    page.click("#models .tab", "housing")
    page.wait_until(lambda: "Californian" in page.text(".lead"))
    before = page.wait_for_answer()
    page.draw((0.3, 0.4), css=".map")
    page.wait_for_another_answer(before)

    sent = requests(page.browser)
    assert {one["url"].split("/", 3)[2] for one in sent} == {f"127.0.0.1:{stack.http_port}"}
    assert not any("Cookie" in one["headers"] for one in sent)
    assert page.browser.get_cookies() == []
    assert page.script("return [document.cookie, localStorage.length, sessionStorage.length]") == ["", 0, 0]
    assert complaints(page.browser) == []
    headers = dict(page.script("return fetch('').then((got) => [...got.headers])"))
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert page.script("return [...document.querySelectorAll('script:not([src]), style, [onclick]')].length") == 0

    loaded = page.script(
        """return [performance.getEntriesByType("navigation")[0], ...performance.getEntriesByType("resource")
            .filter((entry) => entry.name.includes("/playground/"))].map((entry) => entry.decodedBodySize)"""
    )
    assert len(loaded) > 10
    assert sum(loaded) <= MAX_BYTES
    ready, answered = page.script(
        """const page = performance.getEntriesByType("navigation")[0];
        return [page.domContentLoadedEventEnd, performance.getEntriesByName("first-answer")[0].startTime]"""
    )
    with capsys.disabled():
        print(f"\nthe page: {sum(loaded)} bytes; first answer {answered - ready:.0f} ms after it was ready")
