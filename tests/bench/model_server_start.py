"""How long the model server takes to open its ports, beside what importing TensorFlow alone takes.

The model is a 784-300-100-10 classifier. Rounds alternate between the two, so that what else happens on the machine
happens to both; medians are printed, nothing is asserted. Time on the clock is what a user waits; processor time hardly
depends on the neighbours. Run with `python -m tests.bench.model_server_start`.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests import tiny_models
from tests.ports import free_port

ROUNDS = 7
IMPORT = ["-c", "import sys, tensorflow; print('imported', file=sys.stderr, flush=True); input()"]


@dataclass(frozen=True)
class Start:
    """What it took until a program said a word."""

    clock_s: float
    processor_s: float  # of all its threads


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        version = tiny_models.publish(tiny_models.classifier, Path(scratch) / "classifier", 1)
        starts: list[tuple[Start, Start]] = []
        for number in range(ROUNDS + 1):
            pair = start_of(IMPORT, "imported"), start_of(server(version.parent), "Exporting HTTP/REST API at")
            if number:  # the first round reads the files from the disk
                starts.append(pair)
    report(starts)


def server(base_path: Path) -> list[str]:
    ports = [f"--port={free_port()}", f"--rest_api_port={free_port()}"]
    return ["-m", "serving.model_server", *ports, "--model_name=classifier", f"--model_base_path={base_path}"]


def start_of(arguments: Sequence[str], word: str) -> Start:
    """Start Python, wait for the word on its stderr, end it."""
    started_s = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, *arguments], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr
        lines = []
        for line in process.stderr:
            lines.append(line)
            if word in line:
                clock_s = time.perf_counter() - started_s
                times = psutil.Process(process.pid).cpu_times()
                process.kill()
                return Start(clock_s, times.user + times.system)
    raise RuntimeError(f"it ended before it said {word!r}:\n{''.join(lines)}")


def report(starts: Sequence[tuple[Start, Start]]) -> None:
    """The two, and how much the server takes beyond the import, round by round."""
    imports, servers = zip(*starts, strict=True)
    print(
        f"medians of {len(starts)} rounds [lowest to highest], in seconds    on the clock           of processor time"
    )
    for name, some in (("python -c 'import tensorflow'", imports), ("model server, ports open", servers)):
        print(f"  {name:<45} {spread([s.clock_s for s in some])}   {spread([s.processor_s for s in some])}")
    beyond_clock = [ours.clock_s - theirs.clock_s for theirs, ours in starts]
    beyond_processor = [ours.processor_s - theirs.processor_s for theirs, ours in starts]
    print(f"  {'the server beyond the import':<45} {spread(beyond_clock)}   {spread(beyond_processor)}")


def spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):5.2f} [{min(values):5.2f} to {max(values):5.2f}]"


if __name__ == "__main__":
    main()
