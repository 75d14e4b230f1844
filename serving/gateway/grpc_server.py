"""The gRPC door's process: settings → parts → ports → signals.

One process: one thread answers most of its predictions (grpc_predictions), and there is no JSON to parse.
"""

import logging
import math
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
from grpc_health.v1 import health_pb2
from grpc_health.v1.health import HealthServicer
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server
from grpc_reflection.v1alpha.reflection import SERVICE_NAME as REFLECTION
from grpc_reflection.v1alpha.reflection import enable_server_reflection

from serving.gateway import grpc_tls
from serving.gateway.api_keys import configured_keys
from serving.gateway.grpc_api import PREDICTIONS, SERVICE, prediction_service
from serving.gateway.grpc_health import OffersHealth
from serving.gateway.grpc_predictions import Predictions
from serving.gateway.logs import configure_logging
from serving.gateway.oip_grpc import PREDICTIONS as INFERENCES
from serving.gateway.oip_grpc import SERVICE as INFERENCE
from serving.gateway.oip_grpc import inference_service
from serving.gateway.parts import Parts, build_parts
from serving.gateway.ports import PortTaken
from serving.gateway.settings import Settings

log = logging.getLogger(__name__)

# A signal that reached another thread is noticed within this.
SIGNAL_CHECK_S = 0.2
HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name


def serve(settings: Settings) -> None:
    """Answer until SIGTERM or SIGINT, then finish what is in flight.

    Raises:
        PortTaken, SettingError: names the settings.
    """
    told_to_stop, told_again = threading.Event(), threading.Event()

    def on_signal(*_: object) -> None:
        (told_again if told_to_stop.is_set() else told_to_stop).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    # Certificates are read anew at the next handshake; a terminal that closes must not end the door.
    signal.signal(signal.SIGHUP, lambda *_: None)
    configure_logging(settings)
    with running(build_parts(settings, keys=configured_keys(settings))) as health:
        _wait(told_to_stop)
        log.info("leaving: not serving from now on, answering for %g s more", settings.drain_delay_s)
        health.enter_graceful_shutdown()
        _wait(told_again, settings.drain_delay_s)


def _wait(told: threading.Event, most_s: float = math.inf) -> None:
    """Not in one go: the kernel may give a signal to another thread, and Python's handler runs when this one wakes."""
    until = time.monotonic() + most_s
    while not told.is_set() and (left_s := until - time.monotonic()) > 0:
        told.wait(min(left_s, SIGNAL_CHECK_S))


@contextmanager
def running(parts: Parts) -> Iterator[HealthServicer]:
    """The door, open; closed at the end without cutting off a call, within the grace period."""
    settings = parts.settings
    server = make_server(settings)
    health = OffersHealth(parts.offers, settings.max_connections)
    server.add_generic_rpc_handlers((prediction_service(parts), inference_service(parts)))
    add_HealthServicer_to_server(health.servicer, server)
    enable_server_reflection((SERVICE, INFERENCE, HEALTH, REFLECTION), server)
    predictions = Predictions(server, parts, (*PREDICTIONS, *INFERENCES))
    bind(server, settings)
    serve_metrics(parts)
    poller = parts.poller(lambda _watch: health.update())
    server.start()
    predictions.start()
    poller.start()
    log.info("listening on %s port %d", settings.grpc_host, settings.grpc_port)
    try:
        yield health.servicer
    finally:
        log.info("stopping: finishing what is in flight")
        server.stop(settings.grace_period_s).wait()
        poller.stop()
        predictions.close()
        parts.close()


def make_server(settings: Settings) -> grpc.Server:
    """A server without services or ports."""
    return grpc.server(
        # Most of them wait: gRPC gives a call to a thread with its headers, before its message has come. How many work
        # at a time is the admission's to say.
        ThreadPoolExecutor(settings.max_connections, thread_name_prefix="grpc"),
        options=server_options(settings),
    )


def server_options(settings: Settings) -> list[tuple[str, int]]:
    """What a client may take, in gRPC core's words (its grpc_types.h explains each)."""
    return [
        ("grpc.so_reuseport", 0),  # a second process on the same port is a mistake, not help
        ("grpc.max_receive_message_length", settings.max_body_bytes),
        ("grpc.max_send_message_length", -1),
        # Above this calls may, above twice this they do fail; the HTTP door's limit on a head is as large.
        ("grpc.max_metadata_size", 16 * 1024),
        ("grpc.absolute_max_metadata_size", 32 * 1024),
        # Calls of one connection at once; RFC 9113 recommends 100 at least. More wait in the client.
        ("grpc.max_concurrent_streams", 256),
        # Calls that came and wait to be seen to. Above the first gRPC resets some of their streams, without a word, and
        # clients that try again at once make it worse; who is too many is refused by us, which takes a moment each.
        ("grpc.server.max_pending_requests", 8 * 1024),
        ("grpc.server.max_pending_requests_hard_limit", 16 * 1024),
        ("grpc.server_handshake_timeout_ms", int(settings.header_timeout_s * 1000)),
        # A client that balances over replicas finds new ones when it connects anew. Calls under way have the grace.
        ("grpc.max_connection_age_ms", 10 * 60 * 1000),
        ("grpc.max_connection_age_grace_ms", int((settings.request_timeout_s + settings.grace_period_s) * 1000)),
        # Find out that a client is gone; and end with one that pings for nothing more often than each 10 s (gRFC A8).
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
        ("grpc.http2.max_ping_strikes", 2),
    ]


def bind(server: grpc.Server, settings: Settings) -> None:
    """Listen where the settings say."""
    credentials = grpc_tls.door_credentials(settings)
    host = f"[{settings.grpc_host}]" if ":" in settings.grpc_host else settings.grpc_host
    try:
        if credentials is None:
            server.add_insecure_port(f"{host}:{settings.grpc_port}")
        else:
            server.add_secure_port(f"{host}:{settings.grpc_port}", credentials)
    except RuntimeError as error:  # which does not say why
        raise PortTaken(settings.grpc_host, settings.grpc_port, "ATELIER_GRPC_HOST, ATELIER_GRPC_PORT") from error


def serve_metrics(parts: Parts) -> None:
    """Give the metrics on their own port."""
    host, port = parts.settings.grpc_host, parts.settings.grpc_metrics_port
    try:
        parts.metrics.serve(host, port)
    except OSError as error:
        raise PortTaken(host, port, "ATELIER_GRPC_HOST, ATELIER_GRPC_METRICS_PORT", error.strerror) from error
