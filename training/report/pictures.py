"""Instances that are images, as pictures inside the page."""

import base64
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt

from training.report.svg import element


def gallery(pictures: Sequence[tuple[npt.NDArray[Any], str, str]]) -> str:
    """Pictures with two lines of words each: (image, what it is, what was said of it)."""
    return element("div", *(_figure(*picture) for picture in pictures), class_="gallery")


def _figure(image: npt.NDArray[Any], is_: str, said: str) -> str:
    height, width = image.shape[:2]
    picture = element("img", src=_data_uri(image), width=width, height=height, alt=f"a picture of class {is_}")
    words = element("b", escape(is_)) + element("span", escape(said))
    return element("figure", picture, element("figcaption", words))


def _data_uri(image: npt.NDArray[Any]) -> str:
    """The image itself, as PNG: (height, width) or (height, width, channels), 0 to 255."""
    import tensorflow as tf

    pixels = np.asarray(image, np.uint8).reshape(*image.shape[:2], -1)
    return f"data:image/png;base64,{base64.b64encode(tf.io.encode_png(pixels).numpy()).decode()}"
