"""Serving: the model server, and the gateway in front of it. The contract is the one file training shares."""

__version__ = "0.1.0"  # pyproject.toml's; a test compares them
