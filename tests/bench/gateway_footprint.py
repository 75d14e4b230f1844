"""How soon the gateway is ready after its model server, and what a worker of it weighs. Prints; asserts nothing.

Run with a trained store: `make bench-parts`, or `ATELIER_STORE=… python -m tests.bench.gateway_footprint`.
"""

import os
import tempfile
import threading
import time
from pathlib import Path

import psutil

from serving import environment, stack
from serving.client import Client
from serving.gateway.settings import Settings as GatewaySettings
from serving.supervisor import Supervisor
from tests.ports import free_port

CALLERS = 8
CALLS_A_CALLER = 500
MEGABYTE = 1e6


def main() -> None:
    http_port, grpc_port, rest_port = (free_port() for _ in range(3))
    environ = {
        **os.environ,
        "ATELIER_HTTP_PORT": str(http_port),
        "ATELIER_MODEL_SERVER_PORT": str(grpc_port),
        "ATELIER_MODEL_SERVER_REST_PORT": str(rest_port),
        "ATELIER_MODEL_SERVER": f"127.0.0.1:{grpc_port}",
    }
    settings = stack.Settings.from_env(environ)
    models = stack.published_models(Path(settings.store))
    environ["ATELIER_MODELS"] = ",".join(models)
    gateway_settings = environment.read(GatewaySettings, environ)

    with tempfile.TemporaryDirectory() as scratch:
        config_file = Path(scratch) / "models.config"
        stack.write_model_config(models, Path(settings.store), config_file)
        model_server = Supervisor([stack.model_server_part(settings, config_file, environ)], print, lambda: False)
        gateway = Supervisor([stack.http_gateway_part(gateway_settings, environ)], print, lambda: False)
        try:
            started = time.perf_counter()
            model_server.start()
            print(f"model server ready after                {time.perf_counter() - started:6.2f} s")
            started = time.perf_counter()
            gateway.start()
            print(f"gateway ready after its model server by {time.perf_counter() - started:6.2f} s")
            print_workers("before any request")
            load(stack.local_url(gateway_settings), models)
            print_workers(f"after {CALLERS * CALLS_A_CALLER * len(models)} requests")
        finally:
            gateway.stop()
            model_server.stop()


def load(url: str, models: tuple[str, ...]) -> None:
    """The first golden of every model, from several callers at once."""

    def call() -> None:
        with Client(url) as client:
            instances = {model: [client.contract(model).goldens[0].instance] for model in models}
            for _ in range(CALLS_A_CALLER):
                for model in models:
                    client.predict(model, instances[model])

    callers = [threading.Thread(target=call) for _ in range(CALLERS)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()


def print_workers(when: str) -> None:
    """Resident memory (rss) and the part of it no other process shares (uss)."""
    children = psutil.Process().children(recursive=True)
    master = next(child for child in children if "serving.gateway" in child.cmdline())
    for worker in master.children():
        memory = worker.memory_full_info()
        print(f"worker {when}: rss {memory.rss / MEGABYTE:5.0f} MB, uss {memory.uss / MEGABYTE:5.0f} MB")


if __name__ == "__main__":
    main()
