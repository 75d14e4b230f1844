"""How many users there are as time passes. `--users` is the most of them, `--run-time` how long all of it takes.

Written as shares, so that a shape keeps its form whatever the size and the length. Knows no Locust.
"""

DEFAULT_RUN_S = 120
Level = tuple[float, float]  # until this share of the run, this share of the users

LEVELS: dict[str, tuple[Level, ...]] = {
    "steps": ((0.2, 0.2), (0.4, 0.4), (0.6, 0.6), (0.8, 0.8), (1.0, 1.0)),  # where does it begin to hurt?
    "spike": ((0.4, 0.2), (0.6, 1.0), (1.0, 0.2)),  # does it take a crowd, and is it well afterwards?
    "soak": ((1.0, 1.0),),  # does anything creep up?
}


def users_at(levels: tuple[Level, ...], passed: float, most: int) -> int | None:
    """How many users when this share of the run has passed; None at its end."""
    for until, share in levels:
        if passed < until:
            return max(1, round(share * most))
    return None
