import re

import pytest
from werkzeug.exceptions import NotFound

from serving.gateway.pages import FOLDER, POLICY, page

FILES = sorted(file.name for file in FOLDER.iterdir())


@pytest.mark.parametrize("name", FILES)
def test_a_page_comes_with_its_type_and_a_strict_policy(name):
    response = page(name)

    assert response.mimetype in ("text/html", "text/javascript", "text/css")
    assert response.headers["Content-Security-Policy"] == POLICY
    assert "unsafe" not in POLICY


@pytest.mark.parametrize("name", FILES)
def test_a_page_asks_no_other_host_and_has_nothing_inline(name):
    text = (FOLDER / name).read_text()

    assert not re.search(r"https?://|//[a-z]+\.|@import|url\(", text)
    assert not re.search(r"<script>|<style|\sstyle=|\son[a-z]+=|javascript:|eval\(|innerHTML", text)


@pytest.mark.parametrize("name", FILES)
def test_what_a_page_links_to_is_there(name):
    links = re.findall(r'(?:src|href)="([^"]+)"', (FOLDER / name).read_text())

    assert {link.rpartition("/")[2] for link in links} <= {*FILES, "openapi.json", "data:,"}


@pytest.mark.parametrize("name", ["nothing.html", "..", "../settings.py", ""])
def test_nothing_else_is_served(name):
    with pytest.raises(NotFound):
        page(name)
