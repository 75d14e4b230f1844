"""Retention: which old versions may go. A version in use never goes.

The store alone cannot say what a server has loaded, so "in use" is what could be: the newest N, which TF Serving's
latest-N policy serves or is about to; what the user names; and, where a model server is asked, every version that it
does not report as ended. A server that cannot be asked means that nothing is removed.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

from training.errors import PruneRefused
from training.stores import ModelStore, model_store

# TF Serving's words (get_model_status_impl.cc). Any other 404 comes from somebody who is no model server.
_NO_VERSIONS = b"Could not find any versions of model"
_TIMEOUT_S = 5  # a status call takes milliseconds; a server that takes seconds is not well


def prune(
    store: ModelStore, keep: int, protected: set[int], in_use: Callable[[], set[int]], *, dry_run: bool
) -> tuple[set[int], set[int]]:
    """Remove all but the newest versions of one model; return the numbers (removed, kept).

    Args:
        keep: how many of the newest stay.
        protected: numbers that stay in any case.
        in_use: the numbers that a server uses.
    """
    present = store.versions()
    kept = set(present[-keep:]) | (protected | in_use()) & set(present)
    removed = set(present) - kept
    if removed and not dry_run:
        store.remove(removed)
    return removed, kept


def check_protected(store: Path | str, protected: Mapping[str, set[int]]) -> None:
    """Pass quietly if every version that the user names is there: a misspelt one would protect nothing.

    Raises:
        PruneRefused: names those that are not.
    """
    present = {name: model_store(store, name).versions() for name in protected}
    missing = [f"{name}/{n}" for name, numbers in protected.items() for n in sorted(numbers) if n not in present[name]]
    if missing:
        raise PruneRefused(f"nothing was removed: {store} has no {', '.join(missing)} to protect")


def used_by_server(url: str, model: str) -> set[int]:
    """The versions that a model server's REST status reports as anything but END.

    Raises:
        PruneRefused: the server does not answer, or not as a model server does.
    """
    address = f"{url.rstrip('/')}/v1/models/{model}"
    try:
        with urllib.request.urlopen(address, timeout=_TIMEOUT_S) as response:  # noqa: S310 (http(s), checked on parsing)
            statuses = json.load(response)["model_version_status"]
            return {int(status["version"]) for status in statuses if status["state"] != "END"}
    except urllib.error.HTTPError as error:
        if error.code == 404 and _NO_VERSIONS in error.read():  # it does not serve this model
            return set()
        raise PruneRefused(f"nothing was removed: {address} answered {error.code}") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PruneRefused(f"nothing was removed: no status from {address}: {error}") from error
