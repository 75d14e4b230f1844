"""TLS in gRPC's words: the credentials of the gRPC door, and of the channel to the model server."""

import logging
from pathlib import Path

import grpc

from serving.environment import SettingError
from serving.gateway import tls
from serving.gateway.settings import Settings

log = logging.getLogger(__name__)


def door_credentials(settings: Settings) -> grpc.ServerCredentials | None:
    """For the gRPC door; None speaks in the clear. Files that change are read anew at the next handshake."""
    if not settings.tls_cert_file:
        return None
    return grpc.dynamic_ssl_server_credentials(
        _certificates(settings), _Renewal(settings), require_client_authentication=bool(settings.tls_client_ca_file)
    )


def model_server_credentials(settings: Settings) -> grpc.ChannelCredentials | None:
    """For the channel to the model server; None speaks in the clear."""
    if not settings.model_server_ca_file:
        return None
    return grpc.ssl_channel_credentials(
        Path(settings.model_server_ca_file).read_bytes(),
        Path(settings.model_server_key_file).read_bytes() if settings.model_server_key_file else None,
        Path(settings.model_server_cert_file).read_bytes() if settings.model_server_cert_file else None,
    )


class _Renewal:
    """What gRPC asks at each handshake: new certificates, or None to go on with those it has."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._seen = self._stamps()

    def __call__(self) -> grpc.ServerCertificateConfiguration | None:
        stamps = self._stamps()
        if stamps == self._seen:
            return None
        try:
            tls.check(self._settings)
            renewed = _certificates(self._settings)
        except (SettingError, OSError) as error:  # half written, perhaps: the next handshake looks again
            log.warning("the TLS certificates stay as they were: %s", error)
            return None
        self._seen = stamps
        log.info("the TLS certificates were renewed")
        return renewed

    def _stamps(self) -> list[int | None]:
        settings = self._settings
        return [_stamp(file) for file in (settings.tls_cert_file, settings.tls_key_file, settings.tls_client_ca_file)]


def _stamp(file: str) -> int | None:
    try:
        return Path(file).stat().st_mtime_ns if file else None
    except OSError:
        return None


def _certificates(settings: Settings) -> grpc.ServerCertificateConfiguration:
    pair = (Path(settings.tls_key_file).read_bytes(), Path(settings.tls_cert_file).read_bytes())
    clients = Path(settings.tls_client_ca_file).read_bytes() if settings.tls_client_ca_file else None
    return grpc.ssl_server_certificate_configuration([pair], clients)
