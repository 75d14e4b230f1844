"""`python -m serving`: model server and gateways on this machine, supervised, until Ctrl-C or SIGTERM.

`python -m serving predict FILE` asks a running gateway instead.
"""

import argparse
import os
import signal
import sys
import tempfile
from pathlib import Path

from serving import environment, predict, sample, stack
from serving.gateway import tls
from serving.gateway.settings import Settings as GatewaySettings
from serving.store_watch import StoreWatch
from serving.supervisor import PartFailedToStart, Supervisor

DESCRIPTION = """\
Serve the models of the store on this machine: the embedded model server, and the HTTP and gRPC gateways in front of it.

Settings are ATELIER_* environment variables; the README has the table. The store is ATELIER_STORE (default: models).
A part that dies is started again; Ctrl-C or SIGTERM stops all of them in order.
"""


def main() -> int:
    """Settings → parts → supervise → sample answers → wait for a signal; or the command that is named."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m serving", description=DESCRIPTION, formatter_class=raw)
    commands = parser.add_subparsers(title="commands", dest="command", metavar="")
    about = "ask a running gateway about a picture, or about rows of JSON or CSV"
    predict.add_arguments(
        commands.add_parser("predict", help=about, description=predict.DESCRIPTION, formatter_class=raw)
    )
    arguments = parser.parse_args()
    return predict.run(arguments) if arguments.command else serve_here()


def serve_here() -> int:
    """Serve what is in the store until a signal; the exit status."""
    try:
        with tempfile.TemporaryDirectory(prefix="atelier-") as scratch:
            serve(dict(os.environ), Path(scratch))
    except (environment.SettingError, stack.EmptyStore, stack.PortInUse, PartFailedToStart) as error:
        print(f"python -m serving: {error}", file=sys.stderr)
        return 1
    return 0


def serve(environ: dict[str, str], scratch: Path) -> None:
    """Bring the stack up, show that it answers, and keep it up until a signal asks to stop."""
    settings = stack.Settings.from_env(environ)
    store = Path(settings.store)
    models = stack.published_models(store)
    models_file, is_following = scratch / "models", "ATELIER_MODELS" not in environ
    if is_following:
        stack.write_whole(models_file, "")
        environ |= {"ATELIER_MODELS": ",".join(models), "ATELIER_MODELS_FILE": str(models_file)}
    environ["ATELIER_MODEL_SERVER"] = f"127.0.0.1:{settings.model_server_port}"
    gateway = environment.read(GatewaySettings, environ)
    environment.require(
        not gateway.model_server_ca_file, "model_server_ca_file", "nothing: its own speaks no TLS", "one"
    )
    tls.check(gateway)
    stack.refuse_ports_in_use(settings, gateway)
    config_file = scratch / "models.config"
    stack.write_model_config(gateway.models, store, config_file)

    def serve_too(models: tuple[str, ...]) -> None:
        try:
            stack.write_model_config(models, store, config_file)
            stack.write_whole(models_file, "\n".join(models))
        except OSError as error:
            tell(f"a model is published that was not there before, and cannot be served yet: {error}")
            raise
        tell(f"a model is published that was not there before; serving {', '.join(models)}")

    signals: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _frame: signals.append(received))
    parts = [
        stack.model_server_part(settings, config_file, environ),
        stack.http_gateway_part(gateway, environ),
        stack.grpc_gateway_part(gateway, environ),
    ]
    supervisor = Supervisor(parts, tell, stopping=lambda: bool(signals))
    try:
        tell(f"serving {', '.join(gateway.models)} from {store}; the model server takes a few seconds to start")
        if supervisor.start():
            if gateway.api_keys_file:
                tell(f"up: {stack.local_url(gateway)}; who calls needs an API key, so no sample answer is shown")
            elif gateway.tls_cert_file:
                tell(
                    f"up: {stack.local_url(gateway)}; its certificate is for other names, so no sample answer is shown"
                )
            else:
                sample.show(stack.local_url(gateway), stack.local_grpc_address(gateway), gateway.models)
            supervisor.watch(StoreWatch(store, gateway.models, serve_too).look if is_following else lambda: None)
    finally:
        tell("stopping")
        supervisor.stop()


def tell(sentence: str) -> None:
    """One line for the person at the terminal."""
    print(f"atelier: {sentence}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
