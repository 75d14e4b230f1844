"""What a load's master says at its end."""

import re


def asked_and_failed(said: str) -> tuple[int, int]:
    """How many requests there were, and how many failed, wrong answers among them."""
    [(asked, failed)] = re.findall(r"Aggregated +(\d+) +(\d+)\(", said)
    return int(asked), int(failed)
