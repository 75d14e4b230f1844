"""The request that the playground shows for a file, as a shell runs it."""

import io
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import json_format
from PIL import Image
from selenium.webdriver import Chrome

from serving.generated.atelier.prediction.v1 import prediction_pb2 as messages
from tests.browser.playground import Playground
from tests.image_files import png, saved

BOOT = (Path(__file__).parents[2] / "docs/examples/ankle-boot.png").read_bytes()
BOOT_AS_JPEG = saved(Image.open(io.BytesIO(BOOT)), "JPEG", quality=95)
NOISE = png(np.random.default_rng(0).integers(0, 255, (300, 300, 3), dtype=np.uint8))  # more than one argument may have
FILES = {
    "cost$$.png": BOOT,
    "-boot.png": BOOT,
    "it's @ $HOME `x`.png": BOOT,
    "boot.webp": BOOT,
    "boot.bin": BOOT,
    "photo.png": BOOT_AS_JPEG,
    "large.png": NOISE,
}


class Shell:
    """A shell in a folder, with a grpcurl that prints what it would send and keeps what it was told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs = folder / "bin"
        self.programs.mkdir()
        grpcurl = self.programs / "grpcurl"
        grpcurl.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" > '{self.programs}/told'\nexec cat\n")
        grpcurl.chmod(0o755)

    def run(self, command: str) -> str:
        environ = {**os.environ, "PATH": f"{self.programs}:{os.environ['PATH']}"}
        done = subprocess.run(
            ["bash", "-c", command], cwd=self.folder, env=environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def told(self) -> list[str]:
        return (self.programs / "told").read_text().splitlines()


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_a_file_of_any_name_and_size_is_sent_as_the_page_sends_it(
    open_page: Callable[..., Playground], shell: Shell
) -> None:
    page = open_page("fashion")
    for name, file in FILES.items():
        (shell.folder / name).write_bytes(file)
        page.upload(shell.folder / name)
        page.click(".request [role=tab]", "Python")
        page.wait_until(lambda name=name: json.dumps(name) in page.text(".request code"))  # type: ignore[misc]
        shown = page.wait_for_answer()
        curl, grpcurl = (request(page, client) for client in ("curl", "grpcurl"))

        [prediction] = json.loads(shell.run(curl))["predictions"]
        assert shown.startswith(prediction["class_name"]), name

        message = json_format.Parse(shell.run(grpcurl), messages.ClassifyRequest())
        assert message.instances[0].image.encoded == file, name
        *flags, _, method = shell.told
        assert flags == ["-plaintext", "-d", "@"]
        assert method == "atelier.prediction.v1.PredictionService/Classify"


def request(page: Playground, client: str) -> str:
    """What is shown for a client."""
    page.click(".request [role=tab]", client)
    return str(page.script("return document.querySelector('.request code').textContent"))


def test_a_models_name_may_have_any_character(modules: Chrome, shell: Shell) -> None:
    (shell.folder / "boot.png").write_bytes(BOOT)
    script = """return import("/playground/request.js").then(({ RequestView }) => {
        const view = new RequestView();
        const contract = { name: arguments[0], task: "classification", input: { kind: "image" } };
        view.show(contract, { file: { name: "boot.png", base64: "" } }, { grpc_port: 8081, tls: false });
        view.tabs.find((tab) => tab.textContent === "grpcurl").click();
        return view.code.textContent;
    })"""
    for name in ("shoes@home", "$& it's 100%"):
        command = modules.execute_script(script, name)

        message = json_format.Parse(shell.run(command), messages.ClassifyRequest())

        assert message.model == name
        assert message.instances[0].image.encoded == BOOT
