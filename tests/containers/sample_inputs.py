"""The README's shoe and house."""

import json
from pathlib import Path

SHOE = json.loads(Path("docs/examples/ankle-boot.json").read_text())["instances"]
HOUSE = {
    "MedInc": 8.3252,
    "HouseAge": 41,
    "AveRooms": 6.984,
    "AveBedrms": 1.0238,
    "Population": 322,
    "AveOccup": 2.5556,
    "Latitude": 37.88,
    "Longitude": -122.23,
}
