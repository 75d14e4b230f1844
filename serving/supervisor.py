"""Keeps a few processes of this machine up: starts them in order, restarts one that dies, stops all in reverse order.

Knows nothing of models or requests; what a part is, and when it is ready, is told by its `Part`.
"""

import ctypes
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

# Back-off doubles from the first to the longest pause; a part that stayed up for a while starts again at the first.
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
STEADY_AFTER_S = 60.0

# How often a part is looked at, and how often a wait that goes on is told.
LOOK_INTERVAL_S = 0.1
TELL_INTERVAL_S = 15.0

Tell = Callable[[str], None]


class PartFailedToStart(Exception):
    """A part ended before it was ever ready: a wrong setting, not a passing fault, so no restart would help."""


@dataclass(frozen=True)
class Part:
    """One process: its command, its whole environment, and how to see that it is ready."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    why_not_ready: Callable[[], str | None]  # None once it is ready; otherwise the reason, in words
    grace_period_s: float  # from SIGTERM until it is killed


class Supervisor:
    """Runs the parts until `stop` is asked for. Each part is started once those before it are ready."""

    def __init__(self, parts: Sequence[Part], tell: Tell, stopping: Callable[[], bool]) -> None:
        self._running = [_Running(part, tell) for part in parts]
        self._tell = tell
        self._stopping = stopping

    def start(self) -> bool:
        """Bring up all parts in order; False when asked to stop before that was done.

        One that dies when it was ready is started again, as those after it may wait for it.

        Raises:
            PartFailedToStart: names the part and how it ended. Parts already up are left to `stop`.
        """
        for index, running in enumerate(self._running):
            running.start()
            if not self._wait_until_ready(running, self._running[:index]):
                return False
        return True

    def watch(self, look: Callable[[], None] = lambda: None) -> None:
        """Restart whatever dies, until asked to stop; and do what else must be looked at, often."""
        while not self._stopping():
            look()
            _restart_the_dead(self._running)
            time.sleep(LOOK_INTERVAL_S)

    def stop(self) -> None:
        """Stop the last part first, so that nobody is asked for work it can no longer pass on."""
        for running in reversed(self._running):
            running.stop()

    def _wait_until_ready(self, running: "_Running", ready: Sequence["_Running"]) -> bool:
        told_at = time.monotonic()
        while (reason := running.part.why_not_ready()) is not None:
            if self._stopping():
                return False
            running.raise_if_dead()
            _restart_the_dead(ready)
            if time.monotonic() - told_at > TELL_INTERVAL_S:
                self._tell(f"waiting for the {running.part.name}: {reason}")
                told_at = time.monotonic()
            time.sleep(LOOK_INTERVAL_S)
        return True


def _restart_the_dead(parts: Sequence["_Running"]) -> None:
    for running in parts:
        running.restart_if_dead()


class _Running:
    """A part and its present process, if any."""

    def __init__(self, part: Part, tell: Tell) -> None:
        self.part = part
        self._tell = tell
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._restart_at: float | None = None
        self._pause_s = FIRST_PAUSE_S

    def start(self) -> None:
        # Own session: Ctrl-C reaches only us, so that we choose the order in which parts stop.
        self._process = subprocess.Popen(
            self.part.command,
            env=dict(self.part.environment),
            start_new_session=True,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 (started from the only thread there is)
        )
        self._started_at = time.monotonic()
        self._restart_at = None

    def raise_if_dead(self) -> None:
        if self._process is not None and self._process.poll() is not None:
            raise PartFailedToStart(f"the {self.part.name} did not start: it {_ended(self._process.returncode)}")

    def restart_if_dead(self) -> None:
        now = time.monotonic()
        if self._restart_at is not None:
            if now >= self._restart_at:
                self._tell(f"starting the {self.part.name} again")
                self.start()
        elif self._process is not None and self._process.poll() is not None:
            if now - self._started_at > STEADY_AFTER_S:
                self._pause_s = FIRST_PAUSE_S
            ended = _ended(self._process.returncode)
            self._tell(f"the {self.part.name} {ended}; starting it again in {self._pause_s:g} s")
            self._restart_at = now + self._pause_s
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    def stop(self) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(self.part.grace_period_s)
        except subprocess.TimeoutExpired:
            self._tell(f"the {self.part.name} did not stop within {self.part.grace_period_s:g} s; killing it")
            self._process.kill()
            self._process.wait()


def _ended(returncode: int) -> str:
    if returncode < 0:
        return f"was ended by {signal.Signals(-returncode).name}"
    return f"exited with code {returncode}"


_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def _end_with_parent() -> None:
    """In the child, before exec: ask Linux for a SIGTERM when the supervisor dies, even by kill -9."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
