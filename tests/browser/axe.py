"""axe-core, which judges a page's accessibility, fetched by npm once and kept."""

import hashlib
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

PACKAGE = "axe-core@4.14.1"
SHA256 = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"  # of axe.min.js


def axe_source(folder: Path) -> str:
    """The script; skips, loudly, where npm is not there or cannot fetch it."""
    script = folder / "axe.min.js"
    if not script.exists():
        _fetch(folder, script)
    text = script.read_text(encoding="utf-8")
    assert hashlib.sha256(text.encode()).hexdigest() == SHA256, f"{PACKAGE} is not what it was"
    return text


def _fetch(folder: Path, script: Path) -> None:
    if shutil.which("npm") is None:
        pytest.skip(f"no npm here to fetch {PACKAGE}")
    packed = subprocess.run(
        ["npm", "pack", PACKAGE, "--silent"], cwd=folder, capture_output=True, text=True, check=False
    )
    if packed.returncode:
        pytest.skip(f"npm cannot fetch {PACKAGE}: {packed.stderr.strip()}")
    with tarfile.open(folder / packed.stdout.split()[-1]) as archive:
        member = archive.extractfile("package/axe.min.js")
        assert member is not None
        script.write_bytes(member.read())
