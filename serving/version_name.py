"""Which folders of a model are its versions, by their names alone. Standard library only."""

import re

_INT64 = range(-(2**63), 2**63)
_NUMBER = re.compile(r"\s*[+-]?[0-9]+\s*")  # what absl::SimpleAtoi takes


def version_of(name: str) -> int | None:
    """The version that a folder of this name is, as TensorFlow Serving reads it; None: it is none."""
    if not _NUMBER.fullmatch(name) or (version := int(name)) not in _INT64:
        return None
    return version
