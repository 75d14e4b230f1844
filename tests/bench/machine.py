"""The machine and the versions that a report's figures belong to."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import psutil

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
