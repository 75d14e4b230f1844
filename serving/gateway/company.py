"""Who was just answered often asks again at once, and one call for all of them costs less than two (ADR 18).

Knows no clock and no transport: times are the lane's clock's.
"""

import math
from dataclasses import dataclass

# After so many waits in vain, one after the other, so many calls wait for nobody.
WAITS_IN_VAIN, CALLS_WITHOUT_WAITING = 3, 16


@dataclass(slots=True)
class Company:
    """Whether a line's next call is worth holding back."""

    wait_s: float  # at most, counted from the answers before it; 0: nobody is ever waited for
    until: float = -math.inf  # nobody is waited for any longer
    _complete: int = 0  # rows: with so many there is nobody to wait for
    _enough: int = 0  # rows: with fewer the wait was in vain
    _in_vain: int = 0  # waits, one after the other
    _calls_to_go: int = 0  # without waiting

    def hope(self, waiting: int, answered: int) -> None:
        """A call has ended: so many rows wait, and those who are answered now may come again, with as many."""
        if self._calls_to_go or not self.wait_s:
            self._calls_to_go = max(0, self._calls_to_go - 1)
            self.until, self._complete, self._enough = -math.inf, 0, 0
        else:
            self.until, self._complete, self._enough = math.inf, waiting + answered, waiting + (answered + 1) // 2

    def count_from(self, now: float) -> None:
        """They have their answers."""
        if self.until == math.inf:
            self.until = now + self.wait_s

    def is_here(self, waiting: int, now: float) -> bool:
        """There is nobody to wait for, or it was long enough."""
        return waiting >= self._complete or now >= self.until

    def learn(self, waiting: int, now: float) -> None:
        """A call goes, with so many rows: if they waited, was it in vain?"""
        if not self._enough:  # they did not
            return
        if waiting >= self._enough:
            self._in_vain = 0
        elif now >= self.until:
            self._in_vain += 1
            if self._in_vain >= WAITS_IN_VAIN:
                self._calls_to_go = CALLS_WITHOUT_WAITING
