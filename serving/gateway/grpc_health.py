"""grpc.health.v1.Health that follows the offers: a service a model, and the whole under "" and each service's name."""

from grpc_health.v1.health import HealthServicer
from grpc_health.v1.health_pb2 import HealthCheckResponse

from serving.gateway.grpc_api import SERVICE
from serving.gateway.health import is_ready, models_health
from serving.gateway.offers import Offers
from serving.gateway.oip_grpc import SERVICE as INFERENCE

OVERALL = ("", SERVICE, INFERENCE)


def make_health(offers: Offers) -> HealthServicer:
    """Not serving yet; Watch takes no thread for as long as it lasts."""
    servicer = HealthServicer(experimental_non_blocking=True)
    update_health(servicer, offers)
    return servicer


def update_health(servicer: HealthServicer, offers: Offers) -> None:
    """Tell what is on offer now. A servicer in graceful shutdown no longer listens."""
    health = models_health(offers)
    serving = {model: one.version is not None for model, one in health.items()}
    serving |= dict.fromkeys(OVERALL, is_ready(health, draining=False))
    for service, is_serving in serving.items():
        servicer.set(service, HealthCheckResponse.SERVING if is_serving else HealthCheckResponse.NOT_SERVING)
