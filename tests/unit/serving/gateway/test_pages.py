import re

import pytest
from werkzeug.exceptions import NotFound

from serving.gateway.pages import DOCUMENT_POLICY, FOLDER, POLICY, TYPES, document_page, page

FILES = sorted((file.parent.name, file.name) for file in FOLDER.glob("*/*"))
MAX_PLAYGROUND_BYTES = 100_000


def text(folder: str, name: str) -> str:
    return (FOLDER / folder / name).read_text()


@pytest.mark.parametrize(("folder", "name"), FILES)
def test_a_page_comes_with_its_type_and_a_strict_policy(folder, name):
    response = page(folder, name)

    assert response.mimetype in TYPES.values()
    assert response.headers["Content-Security-Policy"] == POLICY
    assert "unsafe" not in POLICY


@pytest.mark.parametrize(("folder", "name"), FILES)
def test_a_page_asks_no_other_host_and_has_nothing_inline(folder, name):
    content = text(folder, name).replace('xmlns="http://www.w3.org/2000/svg"', "")

    assert not re.search(r"https?://|//[a-z]+\.|@import|\burl\(", content)
    assert not re.search(r"<script>|<style|\sstyle=|\son[a-z]+=|javascript:|eval\(|innerHTML", content)


@pytest.mark.parametrize(("folder", "name"), FILES)
def test_a_page_keeps_nothing_in_the_browser(folder, name):
    assert not re.search(r"document\.cookie|localStorage|sessionStorage|indexedDB", text(folder, name))


@pytest.mark.parametrize(("folder", "name"), [file for file in FILES if file[1].endswith(".html")])
def test_what_a_page_links_to_is_there(folder, name):
    links = {link for link in re.findall(r'(?:src|href)="([^"]+)"', text(folder, name)) if not link.startswith("#")}

    files = {f"{folder}/{other}" for folder, other in FILES}
    assert links <= {*files, "openapi.json", "data:,", "docs", "metrics", "v1/models"}


def test_a_module_of_the_playground_is_there_and_fetched_ahead():
    """Modules found only by reading others would come one after the other."""
    modules = {name for folder, name in FILES if folder == "playground" and name.endswith(".js")}
    imported = {name for module in modules for name in re.findall(r'from "\./(.*)"', text("playground", module))}

    assert imported == modules - {"main.js"}
    assert set(re.findall(r'modulepreload" href="playground/(.*)"', text("playground", "index.html"))) == imported


def test_the_playground_is_small():
    sizes = {name: (FOLDER / folder / name).stat().st_size for folder, name in FILES if folder == "playground"}

    assert sum(sizes.values()) <= MAX_PLAYGROUND_BYTES, sizes


@pytest.mark.parametrize("name", ["nothing.html", "..", "../settings.py", "", "../docs/index.html"])
def test_nothing_else_is_served(name):
    with pytest.raises(NotFound):
        page("playground", name)


def test_a_document_that_came_with_a_model_may_do_nothing():
    response = document_page("<h1>Grüezi</h1>".encode(), "text/html")

    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert response.headers["Content-Security-Policy"] == DOCUMENT_POLICY
    directives = dict(part.strip().partition(" ")[::2] for part in DOCUMENT_POLICY.split(";"))
    assert directives["sandbox"] == ""  # no scripts, no forms, no origin
    assert directives["default-src"] == "'none'"
    assert "script-src" not in directives
