"""The machine and the versions that a report's figures belong to."""

import os
import platform
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

import psutil

IMAGES = ("atelier/gateway", "atelier/model-server", "atelier/training")
LIBRARIES = ("tensorflow", "numpy", "grpcio", "flask", "gunicorn", "gevent", "fastapi", "uvicorn", "orjson")


def describe() -> dict[str, str]:
    """What a reader must know to compare."""
    return {
        "processors": f"{psutil.cpu_count()} × {processor()}",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "libraries": ", ".join(f"{name} {version(name)}" for name in LIBRARIES),
        "revision": revision(),
        "load average before": " ".join(f"{load:.2f}" for load in os.getloadavg()),
    }


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def revision() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


def image_sizes() -> dict[str, str]:
    """Of the container images on this machine (`make images` builds them); why not, where there are none."""
    if shutil.which("docker") is None:
        return dict.fromkeys(IMAGES, "not measured: no container engine here")
    return {name: image_size(name) for name in IMAGES}


def image_size(name: str) -> str:
    command = ["docker", "image", "ls", name, "--format", "{{.Tag}}: {{.Size}}"]
    shown = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    return ", ".join(shown.stdout.split("\n")).strip(", ") or "not measured: `make images` has not built it here"
