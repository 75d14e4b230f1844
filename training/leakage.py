"""Refuses a split in which rows that judge a model are among those that made it."""

import hashlib

from training.datasets import Dataset, Rows, encode
from training.errors import LeakingSplit


def check_apart(dataset: Dataset) -> None:
    """Every row that a model is given is in one part of the split only; targets do not matter.

    One row is too many: all 70,000 images of Fashion-MNIST differ, and all 20,640 rows of California housing. Data with
    rows that come twice must be split so that these stay together.

    Raises:
        LeakingSplit: says how many rows of which part are known from which other.
    """
    seen: dict[bytes, str] = {}
    for part in ("train", "validation", "calibration", "test"):
        rows = _digests(dataset, getattr(dataset, part))
        if leaked := [seen[row] for row in rows if row in seen]:
            sources = ", ".join(f"{leaked.count(source)} {source}" for source in dict.fromkeys(leaked))
            raise LeakingSplit(
                f"{dataset.name}: nothing was trained: of {len(rows)} {part} rows {len(leaked)} are known already "
                f"({sources} rows): no figure of such a split means what it says"
            )
        seen |= dict.fromkeys(rows, part)


def _digests(dataset: Dataset, rows: Rows) -> list[bytes]:
    """One for what the model would be given of each row, after scaling and choosing features."""
    tensors = encode(dataset.input, rows.instances).values()
    return [
        hashlib.blake2b(b"".join(part.tobytes() for part in row), digest_size=16).digest()
        for row in zip(*tensors, strict=True)
    ]
