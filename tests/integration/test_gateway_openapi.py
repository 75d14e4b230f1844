"""The gateway held to its own description by a tool that nobody here wrote: schemathesis, over real HTTP."""

import subprocess
import sys
from pathlib import Path

from tests.fakes import FakeModelServer, WireModelServer, full_house_contract, full_picture_contract
from tests.gateway_process import gateway_process, wait_until

# Whether valid data is always accepted cannot be told by a schema: no schema says which base64 is a PNG.
CHECKS = ("--checks", "all", "--exclude-checks", "positive_data_acceptance")
BOUNDS = ("--max-examples", "3", "--seed", "1", "--no-shrink", "--generation-database", "none")


def test_schemathesis_finds_no_5xx_and_no_answer_outside_the_description(tmp_path: Path):
    server = WireModelServer(FakeModelServer(full_picture_contract(), full_house_contract()))
    with gateway_process(server.address, "pictures,houses", ATELIER_WORKERS="2") as gateway:
        wait_until(gateway.is_ready, gateway.log)
        done = subprocess.run(
            [
                *(str(Path(sys.executable).with_name("schemathesis")), "--no-color", "run"),
                *(f"http://127.0.0.1:{gateway.port}/openapi.json", "--phases", "examples,coverage,fuzzing"),
                *CHECKS,
                *BOUNDS,
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    server.stop()

    assert done.returncode == 0, done.stdout
    # For each model three places with two verbs and two looks, in tensors two with two looks and one infer more.
    operations = 3 + 3 + 2 * (3 * (2 + 2) + 2 * (2 + 1) + 1)
    assert f"Selected: {operations}/{operations}" in done.stdout
    assert f"Tested: {operations}" in done.stdout
