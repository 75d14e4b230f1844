"""What Compose makes of the files and profiles. Nothing is started."""

import pytest

from tests.containers.compose import Compose

pytestmark = pytest.mark.containers

GPU = ("--file", "docker-compose.yml", "--file", "docker-compose.gpu.yml")


@pytest.fixture
def configured(engine, monkeypatch):
    monkeypatch.delenv("ATELIER_MODEL_SERVER_GPU_IMAGE", raising=False)
    return Compose().configured


def devices(service):
    return service.get("deploy", {}).get("resources", {}).get("reservations", {}).get("devices", [])


@pytest.mark.parametrize("profiles", [(), ("--profile", "observability", "--profile", "load")])
def test_a_gpu_takes_the_place_of_the_processors_with_any_profile(configured, profiles):
    usual, on_gpu = configured(*profiles), configured(*GPU, *profiles)
    assert on_gpu.keys() == usual.keys()
    [served] = [name for name, service in on_gpu.items() if devices(service)]
    assert served == "model-server"
    assert on_gpu[served]["image"].endswith("-gpu")
    assert on_gpu[served]["command"] == usual[served]["command"]
    assert not any(devices(service) for service in usual.values())


def test_profiles_add_what_they_say(configured):
    usual = configured().keys()
    assert usual == {"trainer", "model-server", "gateway-http", "gateway-grpc"}
    assert configured("--profile", "observability").keys() - usual == {"prometheus", "grafana"}
    assert configured("--profile", "load").keys() - usual == {"load", "load-worker"}
    assert configured("--profile", "images").keys() - usual == {"embedded-model-server"}


def test_every_part_of_ours_runs_contained(configured):
    for name, service in configured("--profile", "load").items():
        assert service["read_only"] is True, name
        assert service["user"] == "10001:10001", name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["init"] is True, name
