"""The limit on open files, which is also one on connections: raised where it is too low for the settings."""

import resource

from serving.environment import require

# Beside clients: listener, pipes, logs, metrics files, the model server's channel and Python itself; about 60 are seen.
OTHERS = 256


def allow_connections(max_connections: int) -> None:
    """Let a process hold that many, or say that the system does not.

    Raises:
        SettingError: names the setting.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = max_connections + OTHERS
    if soft not in (-1, resource.RLIM_INFINITY) and soft < needed:
        has_room = hard in (-1, resource.RLIM_INFINITY) or hard >= needed
        require(has_room, "max_connections", f"at most {hard - OTHERS}, by the limit on open files", max_connections)
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
