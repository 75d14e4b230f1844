"""The servers that are measured beside each other: how each starts and stops, and which processes it is made of."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.bench.cases import CLASSIFY, HTTP_PATH, PREDICT, Case
from tests.bench.generators import Sent, send
from tests.e2e.local_stack import LocalStack
from tests.ports import free_port

START_S = 120.0
Groups = dict[str, list[psutil.Process]]


@dataclass(frozen=True)
class Running:
    """A side that answers."""

    start_s: float  # from its command to its first answer
    send: Callable[[Case, int, int], Sent]  # a case, so many callers, so many seconds
    http_port: int | None  # where it says what is in an image; None: it does not
    groups: Groups  # its processes, by what they do
    stop: Callable[[], object]

    def cpu_s(self) -> dict[str, float]:
        """Processor time taken so far."""
        return {name: sum(cpu_of(one) for one in group) for name, group in self.groups.items()}

    def memory_bytes(self) -> dict[str, int]:
        """Resident memory; what processes share counts once (proportional set size)."""
        return {name: sum(one.memory_full_info().pss for one in group) for name, group in self.groups.items()}


def cpu_of(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def check(port: int, case: Case) -> None:
    """Whoever is measured must answer rightly.

    Raises:
        ValueError: it does not.
    """
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{HTTP_PATH}", case.body, {"Content-Type": case.content_type}
    )
    with urllib.request.urlopen(request, timeout=START_S) as answer:
        said = tuple(one["class_id"] for one in json.load(answer)["predictions"])
    if said != case.classes:
        raise ValueError(f"{case.name}: expected the classes {case.classes}, got {said}")


@dataclass(frozen=True)
class Side:
    """A server that can be started, with so many workers."""

    name: str
    workers: int
    start: Callable[[], Running] = field(repr=False)

    @property
    def label(self) -> str:
        return f"{self.name}, {self.workers}"


def atelier(store: Path, workers: int) -> Side:
    """`python -m serving`: the model server and both doors in processes of their own, with room for all callers."""
    settings = {"ATELIER_WORKERS": str(workers), "ATELIER_THREADS": "64"}

    def start() -> Running:
        began_s = time.perf_counter()
        stack = LocalStack(store, **settings)
        stack.wait_until_up()
        start_s = time.perf_counter() - began_s
        ports = {"grpc": stack.grpc_port, "predict": port_of(stack.model_server())}
        paths = {"grpc": CLASSIFY, "predict": PREDICT}

        def ask(case: Case, callers: int, seconds: int) -> Sent:
            kind = case.name.split()[0]
            return send(ports.get(kind, stack.http_port), paths.get(kind, HTTP_PATH), case, callers, seconds)

        return Running(start_s, ask, stack.http_port, parts(stack), stack.stop)

    return Side("Atelier", workers, start)


def port_of(model_server: psutil.Process) -> int:
    return next(int(word.partition("=")[2]) for word in model_server.cmdline() if word.startswith("--port="))


def parts(stack: LocalStack) -> Groups:
    """The processes of `python -m serving`."""
    groups: Groups = {"model server": [stack.model_server()], "HTTP door": [], "gRPC door": []}
    for process in stack.descendants():
        match process.cmdline()[-2:]:
            case ["serving.gateway", "http"]:
                groups["HTTP door"].append(process)
            case ["serving.gateway", "grpc"]:
                groups["gRPC door"].append(process)
    return {**groups, "supervisor": [psutil.Process(stack.process.pid)]}


def gunicorn(name: str, app: str, workers: int, *options: str, path: Callable[[Case], str], **environ: str) -> Side:
    command = [
        "gunicorn",
        app,
        "--workers",
        str(workers),
        "--log-level",
        "error",
        *options,
        "--bind",
        "127.0.0.1:{port}",
    ]
    return web_server(name, workers, command, path, environ)


def uvicorn(name: str, app: str, workers: int, path: Callable[[Case], str], **environ: str) -> Side:
    command = ["uvicorn", app, "--workers", str(workers), "--log-level", "error", "--no-access-log", "--port", "{port}"]
    return web_server(name, workers, command, path, environ)


def web_server(
    name: str, workers: int, command: list[str], path: Callable[[Case], str], environ: Mapping[str, str]
) -> Side:
    """A program that listens on one port."""

    def start() -> Running:
        port = free_port()
        began_s = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", *(word.format(port=port) for word in command)],
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environ},
        )
        wait_for_http(port, process)
        start_s = time.perf_counter() - began_s

        def ask(case: Case, callers: int, seconds: int) -> Sent:
            return send(port, path(case), case, callers, seconds)

        processes = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        wait_until_calm(processes)  # the first worker answers while others still start
        answers_at = port if "BENCH_MODEL" in environ else None  # a floor answers a constant
        return Running(start_s, ask, answers_at, {"server": processes}, lambda: end(process))

    return Side(name, workers, start)


def wait_for_http(port: int, process: subprocess.Popen[bytes]) -> None:
    """Until it answers anything at all: 404 is an answer."""
    until_s = time.monotonic() + START_S
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=START_S).close()
        except urllib.error.HTTPError:
            return
        except OSError as error:
            if process.poll() is not None or time.monotonic() > until_s:
                raise RuntimeError(f"{process.args} does not come up: {error}") from error
            time.sleep(0.02)
        else:
            return


def wait_until_calm(processes: list[psutil.Process]) -> None:
    until_s = time.monotonic() + START_S
    before_s = 0.0
    while (now_s := sum(map(cpu_of, processes))) > before_s + 0.02 and time.monotonic() < until_s:
        before_s = now_s
        time.sleep(0.5)


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(START_S)


def floor(worker_class: str, reading: str, workers: int) -> Side:
    """Floor A. What is no JSON it only reads."""
    threads = ("--threads", "16") if worker_class == "gthread" else ()

    def path(case: Case) -> str:
        return f"/{reading if case.is_json else 'raw'}/{case.answer_bytes}"

    parser = "request.get_json" if reading == "json" else reading
    name = f"floor: Flask, {worker_class}, {parser}"
    app = "tests.bench.rivals.floor:app"
    return gunicorn(name, app, workers, "--worker-class", worker_class, *threads, path=path)


def flask(worker_class: str, workers: int, version: Path) -> Side:
    threads = ("--threads", "16") if worker_class == "gthread" else ()
    return gunicorn(
        f"Flask + TensorFlow, {worker_class}",
        "tests.bench.rivals.flask_tensorflow:app",
        workers,
        "--worker-class",
        worker_class,
        *threads,
        path=lambda _: HTTP_PATH,
        BENCH_MODEL=str(version),
    )


def fastapi(workers: int, version: Path) -> Side:
    app = "tests.bench.rivals.fastapi_tensorflow:app"
    return uvicorn("FastAPI + TensorFlow", app, workers, lambda _: HTTP_PATH, BENCH_MODEL=str(version))


def bare_session(threads: int, version: Path) -> Side:
    """Floor B, called from so many threads; callers mean nothing to it."""

    def start() -> Running:
        began_s = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.bare_session", str(version)],
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        assert process.stdin
        assert process.stdout
        asks, answers = process.stdin, process.stdout
        assert answers.readline() == "loaded\n"
        start_s = time.perf_counter() - began_s

        def ask(case: Case, callers: int, seconds: int) -> Sent:
            asks.write(f"{case.rows} {threads} {seconds}\n")
            seen = json.loads(answers.readline())
            return Sent(seen["calls"], 0, seen["seconds"], seen["p50_s"], seen["p99_s"], cpu_s=0)

        def stop() -> None:
            asks.close()
            process.wait(START_S)
            answers.close()

        return Running(start_s, ask, None, {"session": [psutil.Process(process.pid)]}, stop)

    return Side("floor: bare session", threads, start)
