"""Image files made in memory."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image


def png(pixels: Any, **options: Any) -> bytes:
    """A PNG of these uint8 (or uint16) pixels."""
    return saved(Image.fromarray(np.asarray(pixels)), "PNG", **options)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The file of an image."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(kind: bytes, content: bytes = b"") -> bytes:
    """A piece of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def segment(marker: int, content: bytes = b"") -> bytes:
    """A piece of a JPEG."""
    return struct.pack(">BBH", 0xFF, marker, 2 + len(content)) + content


def empty_png(width: int, height: int) -> bytes:
    """A header that promises an image, and a compressed nothing."""

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
