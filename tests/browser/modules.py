"""The playground's modules by themselves: an empty page with its style sheet, and no gateway."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from selenium.webdriver import Chrome

from tests.browser.chromium import chromium

EMPTY_BUT_STYLED = """
    document.body.replaceChildren();
    const style = Object.assign(document.createElement("link"), { rel: "stylesheet", href: "/playground/style.css" });
    return new Promise((loaded) => { style.onload = () => loaded(); document.head.append(style); });
"""
PAGES = Path(__file__).parents[2] / "serving/gateway/pages"


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves a folder, and writes nothing about it."""

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def module_page(profile: Path) -> Iterator[Chrome]:
    """Scripts there may `import("/playground/….js")`."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=PAGES)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with chromium(profile) as browser:
                browser.get(f"http://127.0.0.1:{server.server_port}")  # the folder's listing, a page like any other
                browser.execute_script(EMPTY_BUT_STYLED)
                yield browser
        finally:
            server.shutdown()
            thread.join()
