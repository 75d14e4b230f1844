"""What only somebody who knows the data can say of a model that is trained on them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Notes:
    """Paragraphs for the model card."""

    intended_use: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    ethics: tuple[str, ...] = ()


NO_NOTES = Notes()
