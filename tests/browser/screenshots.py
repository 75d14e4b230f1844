"""Takes the README's pictures of the playground: `python -m tests.browser.screenshots URL`, of a running stack."""

import base64
import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

from tests.browser.chromium import chromium
from tests.browser.playground import Playground

FOLDER = Path(__file__).parents[2] / "docs" / "images"
MAX_BYTES = 200_000


def main(url: str) -> None:
    """One model by day, the other by night, each with an answer that is not too sure."""
    FOLDER.mkdir(exist_ok=True)
    for model, dark, sample in (
        ("fashion", False, ".strip button:nth-child(4)"),
        ("housing", True, ".chips button:nth-child(7)"),
    ):
        with tempfile.TemporaryDirectory() as profile, chromium(Path(profile), dark=dark) as browser:
            page = Playground(browser, url, model)
            before = page.headline
            page.click(sample)
            page.wait_for_another_answer(before)
            page.script("scrollTo(0, 0); document.activeElement.blur()")
            page.wait_until(lambda page=page: "–" not in page.text("#status"))
            taken = base64.b64decode(browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})["data"])
        file = FOLDER / f"playground-{model}.png"
        Image.open(io.BytesIO(taken)).convert("RGB").quantize(256).save(file, optimize=True)
        size = file.stat().st_size
        print(f"{file}: {size} bytes")
        if size > MAX_BYTES:
            raise SystemExit(f"{file} has {size} bytes, more than the {MAX_BYTES} that a README's picture may have")


if __name__ == "__main__":
    main(*sys.argv[1:])
