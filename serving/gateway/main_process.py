"""gunicorn's main process, but it leaves and restarts without losing a request. Knows signals, nothing of requests."""

import signal
import time
from typing import Any

from gunicorn.arbiter import Arbiter

from serving.environment import SettingError

# Seconds that old workers go on while new ones start: importing and a first look take about one.
START_S = 15.0
POLL_S = 0.05
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


class MainProcess(Arbiter):  # type: ignore[misc]
    """The process that the signals of an operator reach."""

    _is_told_to_stop = False

    def signal(self, sig: int, frame: Any) -> None:
        """Queue it, as gunicorn does, and remember that it must not wait for a restart."""
        self._is_told_to_stop |= sig in STOP_SIGNALS
        super().signal(sig, frame)

    def spawn_worker(self) -> Any:
        """As gunicorn, but a stop signal that comes between the fork and the worker's own handlers waits for these.

        The child has our handlers until then, and would lose it.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            return super().spawn_worker()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)

    def handle_term(self) -> None:
        """Say that we leave, go on answering for the drain delay, then stop. A second SIGTERM stops at once."""
        is_first, delay_s = not self.app.leaving.is_set(), self.app.settings.drain_delay_s
        self.app.leaving.set()
        if not (is_first and delay_s):
            super().handle_term()
        self.log.info("leaving: not ready from now on, answering for %g s more", delay_s)
        signal.signal(signal.SIGALRM, lambda *_: self.SIG_QUEUE.put_nowait(signal.SIGTERM))
        signal.setitimer(signal.ITIMER_REAL, delay_s)

    def reload(self) -> None:
        """Start as many workers anew, with files read anew, and only then stop the old ones."""
        try:
            self.app.renew()
        except SettingError as error:
            self.log.error("the workers go on as they are: %s", error)  # noqa: TRY400 (a sentence, no bug)
            return
        old = list(self.WORKERS)
        new = [self.spawn_worker() for _ in range(self.cfg.workers)]
        self._wait_for(new)
        for pid in old:
            self.kill_worker(pid, signal.SIGTERM)

    def _wait_for(self, pids: list[int]) -> None:
        """Until all of these accept connections, within reason."""
        until = time.monotonic() + START_S
        while time.monotonic() < until and not self._is_told_to_stop:
            self.reap_workers()
            if all(worker.is_open.is_set() for pid, worker in self.WORKERS.items() if pid in pids):
                return
            time.sleep(POLL_S)
