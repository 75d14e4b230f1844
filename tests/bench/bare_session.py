"""Floor B: the session callable of the model server's own loader, with no network and no protocol around it.

With as many threads an operation as `python -m serving` gives the model server.

`python -m tests.bench.bare_session VERSION_DIRECTORY` reads lines `ROWS THREADS SECONDS`, and answers each with a JSON
object: calls, seconds, cpu_s, p50_s, p99_s.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from serving.model_server.flags import Flags
from serving.model_server.loader import SavedModelLoader
from serving.model_server.servable import Servable, ServableId
from serving.model_server.session_config import session_config
from serving.stack import Settings


def main(version: str) -> None:
    servable = load(Path(version))
    print("loaded", flush=True)
    for line in sys.stdin:
        rows, threads, seconds = line.split()
        print(json.dumps(measure(servable, int(rows), int(threads), float(seconds))), flush=True)


def load(version: Path) -> Servable:
    sessions = session_config(Flags(tensorflow_intra_op_parallelism=Settings().model_server_op_threads))
    identity = ServableId(version.parent.name, int(version.name))
    return SavedModelLoader(identity, version, ["serve"], sessions, lambda *_: None, lambda runner, _: runner).load()


def measure(servable: Servable, rows: int, threads: int, seconds: float) -> dict[str, float]:
    """Call from so many threads for so long."""
    signature = servable.signatures["serving_default"]
    [given] = signature.inputs.values()
    feeds = {given.name: np.random.default_rng(rows).random((rows, 28, 28), np.float32)}
    fetches = [output.name for output in signature.outputs.values()]
    until_s = time.perf_counter() + seconds

    def call_until_then(_: int) -> list[float]:
        took_s = []
        while (began_s := time.perf_counter()) < until_s:
            servable.runner.run(feeds, fetches, None)
            took_s.append(time.perf_counter() - began_s)
        return took_s

    began_s, cpu_s = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(threads) as callers:
        latencies = sorted(took for caller in callers.map(call_until_then, range(threads)) for took in caller)
    return figures(latencies, time.perf_counter() - began_s, time.process_time() - cpu_s)


def figures(latencies: list[float], seconds: float, cpu_s: float) -> dict[str, Any]:
    count = len(latencies)
    p50_s, p99_s = latencies[count // 2], latencies[count * 99 // 100]
    return {"calls": count, "seconds": seconds, "cpu_s": cpu_s, "p50_s": p50_s, "p99_s": p99_s}


if __name__ == "__main__":
    main(*sys.argv[1:])
