"""Certificates for a day, made with the openssl command: an authority of our own and who it vouches for."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

KEY_OPTIONS = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class Pair:
    """Two PEM files."""

    cert: Path
    key: Path


class Authority:
    """A certificate authority in a folder."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder, self._name = folder, name
        self.pair = _request(folder, name, "-x509", "-days", "1", "-subj", f"/CN={name}")

    @property
    def cert(self) -> Path:
        return self.pair.cert

    def vouch(self, name: str, *subject_alt_names: str) -> Pair:
        """A certificate and its key; names are like DNS:localhost. The same name again makes new files there."""
        names = ",".join(subject_alt_names) or f"DNS:{name}"
        authority = ("-CA", self.pair.cert, "-CAkey", self.pair.key)
        extension = ("-addext", f"subjectAltName={names}", "-addext", "basicConstraints=critical,CA:FALSE")
        return _request(self._folder, name, "-x509", "-days", "1", "-subj", f"/CN={name}", *authority, *extension)


def _request(folder: Path, name: str, *options: object) -> Pair:
    pair = Pair(folder / f"{name}.crt", folder / f"{name}.key")
    command = ("openssl", "req", *KEY_OPTIONS, *map(str, options), "-keyout", str(pair.key), "-out", str(pair.cert))
    subprocess.run(command, check=True, capture_output=True)
    return pair
