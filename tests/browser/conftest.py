import itertools
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from tests.browser.chromium import chromium
from tests.browser.modules import module_page
from tests.browser.playground import Playground
from tests.e2e.local_stack import LocalStack


@pytest.fixture(scope="module")
def store(trained_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the trained store that the tests of a file may add to."""
    return shutil.copytree(trained_store, tmp_path_factory.mktemp("browser") / "models")


@pytest.fixture(scope="module")
def stack(store: Path) -> Iterator[LocalStack]:
    """`python -m serving` on the store, up: one for a file, since none of its tests leaves it worse."""
    running = LocalStack(store)
    try:
        running.wait_until_up()
        yield running
    finally:
        running.stop()


@pytest.fixture
def open_page(stack: LocalStack, tmp_path: Path) -> Iterator[Callable[..., Playground]]:
    """Opens the page on a model, in a browser of its own, dark or on a phone if wanted."""
    with ExitStack() as browsers:
        numbers = itertools.count()

        def opened(model: str, **options: bool) -> Playground:
            browser = browsers.enter_context(chromium(tmp_path / f"profile-{next(numbers)}", **options))
            return Playground(browser, stack.url, model)

        yield opened


@pytest.fixture
def modules(tmp_path: Path) -> Iterator[Chrome]:
    """A browser on a page from which scripts import the playground's modules; there is no gateway."""
    with module_page(tmp_path / "profile") as browser:
        yield browser
