"""Make clips as people send them, and as nobody should."""

from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]


def clip(frames: Iterable[Frame], *, per_second: int = 10, codec: str = "libx264", form: str = "mp4") -> bytes:
    """Return frames, (height, width, 3) of red, green and blue, as a clip; Telegram's own are H.264 in MP4."""
    buffer = BytesIO()
    with av.open(buffer, "w", format=form) as container:
        stream: Any = container.add_stream(codec, rate=per_second)
        stream.pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
        for frame in frames:
            if not stream.codec_context.is_open:
                stream.height, stream.width = frame.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()


def sound(seconds: int = 1) -> bytes:
    """Return a clip without a picture."""
    buffer = BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream: Any = container.add_stream("aac", rate=44_100)
        for _ in range(seconds * 43):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate = 44_100
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return buffer.getvalue()


def shades(count: int, width: int = 320, height: int = 240) -> Iterator[Frame]:
    """Yield frames from black to white, so that each can be told by its brightness."""
    for number in range(count):
        yield np.full((height, width, 3), round(255 * number / max(count - 1, 1)), np.uint8)


def noise(count: int, width: int, height: int) -> Iterator[Frame]:
    """Yield frames that hardly compress."""
    random = np.random.default_rng(5)
    for _ in range(count):
        yield random.integers(0, 255, (height // 4, width // 4, 3), np.uint8).repeat(4, 0).repeat(4, 1)


def lying(clip: bytes, seconds: int) -> bytes:
    """Return an MP4 whose headers say that it is so long."""
    changed = bytearray(clip)
    for name, at in ((b"mvhd", 16), (b"mdhd", 16), (b"tkhd", 24)):
        start = changed.find(name) + at + 4
        unit = 1000 if name != b"mdhd" else int.from_bytes(changed[start - 4 : start])
        changed[start : start + 4] = (seconds * unit).to_bytes(4)
    return bytes(changed)


def claiming_size(clip: bytes, width: int, height: int) -> bytes:
    """Return an MP4 whose headers say that its frames are so large."""
    changed = bytearray(clip)
    at = changed.find(b"avc1") + 4 + 24
    changed[at : at + 4] = width.to_bytes(2) + height.to_bytes(2)
    return bytes(changed)
