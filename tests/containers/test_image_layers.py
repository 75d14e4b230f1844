"""What a new revision's images store, and make who pulls them download: what changed, not the packages once more."""

import subprocess

import pytest
import yaml

from serving import __version__
from tests.containers.compose import Compose

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1800)]

SERVICE_OF = {
    "training": "trainer",
    "gateway": "gateway-http",
    "model-server": "embedded-model-server",
    "load": "load",
}


@pytest.fixture(scope="module")
def another_revision(images, tmp_path_factory):
    """All images as of another revision, named atelier/PART:another."""
    names = {part: f"atelier/{part}:another" for part in SERVICE_OF}
    override = tmp_path_factory.mktemp("images") / "override.yml"
    override.write_text(yaml.safe_dump({"services": {SERVICE_OF[part]: {"image": names[part]} for part in names}}))
    files = ("--file", "docker-compose.yml", "--file", str(override))
    profiles = ("--profile", "images", "--profile", "load")
    build = ("build", *SERVICE_OF.values())
    Compose()(*files, *profiles, *build, ATELIER_BUILD_NETWORK="host", REVISION="another", CREATED="later")
    yield names
    subprocess.run(["docker", "image", "rm", *names.values()], capture_output=True, check=True)


def layers(image: str) -> list[str]:
    inspect = ["docker", "image", "inspect", "--format", "{{range .RootFS.Layers}}{{println .}}{{end}}", image]
    return subprocess.run(inspect, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize("part", SERVICE_OF)
def test_another_revision_of_an_image_differs_in_its_last_layer_at_most(another_revision, part):
    another, ours = layers(another_revision[part]), layers(f"atelier/{part}:{__version__}")
    assert another[:-1] == ours[:-1]
    assert len(another) > 2
