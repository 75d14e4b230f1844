"""For every test: how Hypothesis behaves on a busy machine."""

import os

from hypothesis import HealthCheck, settings

# How long an example takes says how busy the machine is, nothing of the code. In CI, examples are the same each time.
settings.register_profile(
    "busy-machine", deadline=None, derandomize="CI" in os.environ, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("busy-machine")
