"""Load generators: so many callers, each of whom sends the same request again as soon as it is answered.

`wrk` for HTTP and `h2load` for gRPC: written in C, so they leave the processors to what is measured. Where there is no
wrk, `tests.http_load`, which takes several times as much.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests import http_load
from tests.bench.cases import Case

TIMEOUT_S = 60
TRIES, PAUSE_S = 5, 0.2


@dataclass(frozen=True)
class Sent:
    """What callers saw for some seconds."""

    answered: int
    failed: int
    seconds: float
    p50_s: float
    p99_s: float
    cpu_s: float  # the generator's own


def send(port: int, path: str, case: Case, callers: int, seconds: int) -> Sent:
    """Load one server on this machine."""
    if case.is_grpc:
        return by_h2load(port, path, case, callers, seconds)
    if shutil.which("wrk"):
        return by_wrk(port, path, case, callers, seconds)
    return by_python(port, path, case, callers, seconds)


def generators() -> str:
    """What loads, for the report."""
    http = "wrk" if shutil.which("wrk") else "PYTHON, WHICH TAKES MUCH OF THE PROCESSORS: INSTALL wrk"
    grpc = "h2load" if shutil.which("h2load") else "NOTHING: INSTALL h2load (nghttp2)"
    return f"HTTP by {http}; gRPC by {grpc}"


def by_wrk(port: int, path: str, case: Case, callers: int, seconds: int) -> Sent:
    script = Path(__file__).with_name("wrk.lua")
    command = ["wrk", "-t1", f"-c{callers}", f"-d{seconds}s", "--timeout", f"{TIMEOUT_S}s", "-s", str(script)]
    with tempfile.NamedTemporaryFile() as body:
        Path(body.name).write_bytes(case.body)
        printed, cpu_s = run([*command, f"http://127.0.0.1:{port}{path}", "--", body.name, case.content_type])
    line = next(line for line in printed.splitlines() if line.startswith("figures "))
    requests, refused, lost, duration_us, p50_us, p99_us = map(int, line.split()[1:])
    failed = refused + lost
    return Sent(requests - refused, failed, duration_us / 1e6, p50_us / 1e6, p99_us / 1e6, cpu_s)


def by_h2load(port: int, path: str, case: Case, callers: int, seconds: int) -> Sent:
    """gRPC's status comes in a trailer, so answers count by their messages' bytes."""
    whole_bytes = answer_bytes(port, path, case)
    connections, streams = (1, callers) if case.shares else (callers, 1)
    load = (f"-c{connections}", f"-m{streams}", f"-D{seconds}")
    latencies, received_bytes, cpu_s = h2load(port, path, case, *load)
    count = len(latencies)
    answered = min(count, round(received_bytes / whole_bytes))
    return Sent(answered, count - answered, seconds, latencies[count // 2], latencies[count * 99 // 100], cpu_s)


def answer_bytes(port: int, path: str, case: Case) -> int:
    """The message of one answer. A load before is cut off at its end, and its calls may still have all places."""
    for _ in range(TRIES):
        _, received_bytes, _ = h2load(port, path, case, "-n1")
        if received_bytes:
            return received_bytes
        time.sleep(PAUSE_S)
    sys.exit(f"h2load got no answer from {path}, {TRIES} times")


def h2load(port: int, path: str, case: Case, *options: str) -> tuple[list[float], int, float]:
    """Latencies in order, the bytes of the answers' messages, and the processor time it took."""
    with tempfile.TemporaryDirectory() as scratch:
        body, log = Path(scratch, "body"), Path(scratch, "log")
        body.write_bytes(case.body)
        headers = ("-H", "content-type: application/grpc", "-H", "te: trailers")
        command = ["h2load", "-t1", *options, *headers, "-d", str(body), f"--log-file={log}"]
        printed, cpu_s = run([*command, f"http://127.0.0.1:{port}{path}"])
        lines = [line.split() for line in log.read_text().splitlines()]
    traffic = next(line for line in printed.splitlines() if line.startswith("traffic:"))  # …, 1.1KB (1104) data
    if not lines:
        sys.exit(f"{' '.join(command)} did nothing:\n{printed}")
    return sorted(int(took_us) / 1e6 for _, _, took_us in lines), int(traffic.rsplit("(", 1)[1].split(")")[0]), cpu_s


def by_python(port: int, path: str, case: Case, callers: int, seconds: int) -> Sent:
    request = http_load.prepare(path, case.body, content_type=case.content_type)
    before = cpu_of_children()
    exchanges = http_load.send(http_load.Load(port, request, seconds, callers))
    latencies = sorted(one.latency_s for one in exchanges if one.status == 200)
    count = len(latencies)
    p50_s, p99_s = latencies[count // 2], latencies[count * 99 // 100]
    return Sent(count, len(exchanges) - count, seconds, p50_s, p99_s, cpu_of_children() - before)


def run(command: Sequence[str]) -> tuple[str, float]:
    """What it printed, and the processor time it took."""
    before = cpu_of_children()
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S * 2)
    if ended.returncode:
        sys.exit(f"{' '.join(command)}\n{ended.stdout}{ended.stderr}")
    return ended.stdout, cpu_of_children() - before


def cpu_of_children() -> float:
    """Of the children that have ended."""
    times = psutil.Process().cpu_times()
    return float(times.children_user + times.children_system)
