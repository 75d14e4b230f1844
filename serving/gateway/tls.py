"""TLS out of the files that the settings name: what they must be, and the HTTP door's context. Knows no gRPC.

`check` before any port opens: a file that cannot be used stops the start and is named by its setting.
"""

import ssl
from collections.abc import Callable

from serving.environment import SettingError
from serving.gateway.settings import Settings


def check(settings: Settings) -> None:
    """Raise SettingError where a file is missing, unreadable, no PEM, or does not belong to its pair."""
    _pair_context(settings, "tls_cert_file", "tls_key_file", "tls_client_ca_file")
    _pair_context(settings, "model_server_cert_file", "model_server_key_file", "model_server_ca_file")


def http_context(settings: Settings) -> ssl.SSLContext | None:
    """For the HTTP door; None speaks in the clear.

    With a client CA a client may come without a certificate, so that probes can, but not with a bad one; to refuse who
    asks for more than a probe does is the worker's part.
    """
    return _pair_context(settings, "tls_cert_file", "tls_key_file", "tls_client_ca_file")


def _pair_context(settings: Settings, cert: str, key: str, ca: str) -> ssl.SSLContext | None:
    """A server's context of what these three settings name; None where there is no certificate."""
    cert_file, key_file, ca_file = (getattr(settings, name) for name in (cert, key, ca))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 9325: older ones MUST NOT be used
    context.options |= ssl.OP_NO_RENEGOTIATION  # a client could make work by it (CVE-2011-1473)
    if ca_file:
        _load(ca, ca_file, lambda: context.load_verify_locations(ca_file), "PEM certificates of authorities")
        context.verify_mode = ssl.CERT_OPTIONAL
    if not cert_file:
        return None
    # The certificate alone first, so that a wrong key can be told from it.
    _load(
        cert,
        cert_file,
        lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(cert_file),
        "a PEM certificate",
    )
    belongs = f"the PEM key, not encrypted, of the certificate in {_variable(cert)}"
    _load(key, key_file, lambda: context.load_cert_chain(cert_file, key_file, password=""), belongs)
    return context


def _load(setting: str, file: str, load: Callable[[], None], expected: str) -> None:
    try:
        load()
    except (ssl.SSLError, ValueError) as error:
        raise SettingError(f"{_variable(setting)}: expected {expected}, in {file}") from error
    except OSError as error:
        raise SettingError(f"{_variable(setting)}: {file} cannot be read: {error.strerror}") from error


def _variable(setting: str) -> str:
    return f"ATELIER_{setting.upper()}"
