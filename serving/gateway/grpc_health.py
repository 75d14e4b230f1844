"""grpc.health.v1.Health that follows the offers: one service a model, and the whole under "" and the service's name."""

import threading
from concurrent.futures import ThreadPoolExecutor

from grpc_health.v1.health import HealthServicer
from grpc_health.v1.health_pb2 import HealthCheckResponse

from serving.gateway.grpc_api import SERVICE
from serving.gateway.health import is_ready, models_health
from serving.gateway.offers import Offers

OVERALL = ("", SERVICE)


class OffersHealth:
    """Tells the servicer what has changed."""

    def __init__(self, offers: Offers, max_watchers: int) -> None:
        """Nothing serves yet. Each watcher takes a thread, but none of the callers'.

        The servicer's way without threads (`experimental_non_blocking`) sends while it holds its lock, which the end of
        a watch needs: a watcher that goes at the wrong moment stops the whole server (grpcio-health-checking 1.81).
        """
        self.servicer = HealthServicer(
            experimental_non_blocking=False,
            experimental_thread_pool=ThreadPoolExecutor(max_watchers, thread_name_prefix="health"),
        )
        self._offers = offers
        self._told: dict[str, bool] = {}
        self._telling = threading.Lock()  # every model's watch calls
        self.update()

    def update(self) -> None:
        """Tell what is on offer now. A servicer in graceful shutdown no longer listens."""
        with self._telling:
            health = models_health(self._offers)
            serving = {model: one.version is not None for model, one in health.items()}
            serving |= dict.fromkeys(OVERALL, is_ready(health, draining=False))
            for service in (one for one, is_serving in serving.items() if self._told.get(one) is not is_serving):
                self._told[service] = serving[service]
                status = HealthCheckResponse.SERVING if serving[service] else HealthCheckResponse.NOT_SERVING
                self.servicer.set(service, status)
