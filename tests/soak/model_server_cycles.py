"""Two hundred loads and unloads of a 784-300-100-10 classifier: memory must not grow with them.

`python -m tests.soak.model_server_cycles` prints the curve of resident memory; it ends with 1 if the last is more than
15 % above that after cycle 20.
"""

import sys
import tempfile
import time
from pathlib import Path

import psutil
from tensorflow_serving.apis import model_management_pb2

from tests import tiny_models
from tests.model_server_process import ModelServerProcess, wait_until

CYCLES = 200
SETTLED_AFTER = 20
PRINT_EVERY = 20
MAX_GROWTH = 0.15


def main() -> int:
    with tempfile.TemporaryDirectory() as scratch:
        store = Path(scratch)
        for name, write in (("anchor", tiny_models.half_plus_two), ("classifier", tiny_models.classifier)):
            tiny_models.publish(write, store / name, 1)
        server = ModelServerProcess(store / "log", "--model_name=anchor", f"--model_base_path={store / 'anchor'}")
        try:
            return report(cycle(server.wait_until_ready(), store))
        finally:
            server.kill()


def cycle(server: ModelServerProcess, store: Path) -> list[float]:
    """Load, ask once, unload; the resident memory after each, in MB."""
    process, curve_mb = psutil.Process(server.pid), []
    started = time.perf_counter()
    for number in range(1, CYCLES + 1):
        configure(server, store, "anchor", "classifier")
        request = tiny_models.predict_request("classifier", images=[[0.5] * 784])
        response = server.client.prediction.Predict(request, timeout=60)
        assert abs(sum(response.outputs["probabilities"].float_val) - 1) < 1e-5
        configure(server, store, "anchor")
        wait_until(lambda: server.client.states("classifier") == {1: "END"})
        curve_mb.append(process.memory_info().rss / 1e6)
        if number % PRINT_EVERY == 0:
            print(
                f"after {number:3} cycles, {time.perf_counter() - started:4.0f} s: {curve_mb[-1]:6.1f} MB", flush=True
            )
    return curve_mb


def configure(server: ModelServerProcess, store: Path, *models: str) -> None:
    request = model_management_pb2.ReloadConfigRequest()
    for name in models:
        request.config.model_config_list.config.add(name=name, base_path=str(store / name), model_platform="tensorflow")
    server.client.model.HandleReloadConfigRequest(request, timeout=120)


def report(curve_mb: list[float]) -> int:
    settled_mb, last_mb = curve_mb[SETTLED_AFTER - 1], curve_mb[-1]
    growth = last_mb / settled_mb - 1
    print(f"cycle {SETTLED_AFTER}: {settled_mb:.1f} MB, cycle {CYCLES}: {last_mb:.1f} MB")
    print(f"{growth:+.1%}, at most {MAX_GROWTH:+.0%}")
    return int(growth > MAX_GROWTH)


if __name__ == "__main__":
    sys.exit(main())
