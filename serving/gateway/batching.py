"""A model server that is asked in batches of the right size: small calls go together, a large one in pieces."""

import time
from collections.abc import Callable

from serving.contract import DEFAULT_SIGNATURE
from serving.errors import DeadlineExceeded
from serving.gateway.batches import count_rows, join, pieces
from serving.gateway.coalescing import Coalescer
from serving.gateway.model_server import SignatureRunner, Tensor, Tensors

# A larger call goes alone at once: it has little to gain, and others would wait for it.
MAX_COALESCED_ROWS = 8
# As many as the default number of threads can bring, so that who waits goes with the very next batch.
MAX_COALESCED_BATCH = 512


class Batching:
    """A SignatureRunner in front of another."""

    def __init__(
        self,
        server: SignatureRunner,
        max_rows: int,
        *,
        coalesce: bool,
        clock: Callable[[], float] = time.monotonic,
        observe: Callable[[str, int, int], None] = lambda _model, _version, _requests: None,
    ) -> None:
        """`max_rows`: most rows the server behind takes in one call. `observe` hears how many requests went as one."""
        self._server = server
        self._max_rows = max_rows
        self._clock = clock
        self._coalescer = (
            Coalescer(min(max_rows, MAX_COALESCED_BATCH), clock, lambda kind, calls: observe(kind[0], kind[1], calls))
            if coalesce
            else None
        )

    def predict(
        self, model: str, version: int, inputs: Tensors, timeout_s: float, signature: str = DEFAULT_SIGNATURE
    ) -> dict[str, Tensor]:
        """Run one signature of exactly this version, whatever the number of rows."""

        def send(batch: Tensors, time_left_s: float) -> dict[str, Tensor]:
            return self._server.predict(model, version, batch, time_left_s, signature)

        rows = count_rows(inputs)
        if rows is None:
            return send(inputs, timeout_s)
        if rows > self._max_rows:
            return self._in_turn(inputs, rows, timeout_s, send)
        if self._coalescer is None or rows > min(MAX_COALESCED_ROWS, self._max_rows):
            return send(inputs, timeout_s)
        kind = (model, version, signature, *((name, array.dtype, array.shape[1:]) for name, array in inputs.items()))
        return self._coalescer.run(kind, inputs, rows, timeout_s, send)

    def _in_turn(
        self, inputs: Tensors, rows: int, timeout_s: float, send: Callable[[Tensors, float], dict[str, Tensor]]
    ) -> dict[str, Tensor]:
        """Piece after piece: side by side they would only crowd out other clients' calls."""
        expires = self._clock() + timeout_s
        outputs = []
        for piece in pieces(inputs, rows, self._max_rows):
            left = expires - self._clock()
            if left <= 0:
                raise DeadlineExceeded("the time for this request ran out between two pieces of its batch")
            outputs.append(send(piece, left))
        return join(outputs)
