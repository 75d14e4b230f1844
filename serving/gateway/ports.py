"""A port that cannot be had: the same complaint from every door, naming the settings."""


class PortTaken(Exception):
    """The gateway cannot listen where it should."""

    def __init__(self, host: str, port: int, settings: str, reason: str | None = None) -> None:
        super().__init__(f"cannot listen on {host} port {port} ({settings}){': ' if reason else ''}{reason or ''}")
