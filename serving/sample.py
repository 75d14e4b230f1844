"""Shows that the stack answers: one golden instance of every model, sent as a client would send it."""

import json
from typing import Any

from serving.answer_text import in_short
from serving.client import Client
from serving.contract import ImageInput, ModelContract

# From dark to bright, for a picture in the terminal.
SHADES = " .:-=+*#%@"


def show(url: str, grpc_address: str, models: tuple[str, ...]) -> None:
    """Print each model's answer to its first golden, and where to go from here."""
    with Client(url) as client:
        for model in models:
            contract = client.contract(model)
            golden = contract.goldens[0]
            answer = client.predict(model, [golden.instance])
            print(f"\n{contract.description}")
            print(_picture(contract, golden.instance))
            print(f"  → {in_short(answer.predictions[0])}   ({answer.model} version {answer.version})")
    print(f"\nAtelier is up. Open {url} to play with it; gRPC is at {grpc_address}   (Ctrl-C stops it)\n", flush=True)


def _picture(contract: ModelContract, instance: Any) -> str:
    """The instance for a terminal: a grey image as shaded characters, anything else as JSON."""
    if not isinstance(contract.input, ImageInput) or len(contract.input.shape) != 2:
        return f"  {json.dumps(instance)}"
    span = contract.input.maximum - contract.input.minimum + 1
    rows = instance[::2]  # a character is about twice as high as wide
    return "\n".join(
        "  " + "".join(SHADES[(pixel - contract.input.minimum) * len(SHADES) // span] for pixel in row) for row in rows
    )
