"""Decode one frame of a clip as decoder_child.py decodes images: in a process that can do nothing else.

The times of a clip's frames are read from its packets, not from its header: a duration is what its maker says it is.
"""

import resource
import runpy
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import pyvips

_child = runpy.run_path(str(Path(__file__).with_name("decoder_child.py")), run_name="decoder_child")
QUARTERS = 4
# A clip of a minute has a few thousand frames. No more packets are looked at, and frames are decoded for so long for
# each quarter (CPU seconds, of the six that all four may take): then the latest one has to do.
_PACKETS_AT_MOST = 100_000
_DECODE_SECONDS = 1.2
_FORMATS = {b"ftyp": "mp4", b"GIF8": "gif", b"\x1aE\xdf\xa3": "matroska"}
# A GIF of one pixel.
_TINY = bytes.fromhex("47494638396101000100800000ffffff00000021f90400000000002c00000000010001000002024401003b")
# In degrees, as FFmpeg says how a frame is to be turned, counter-clockwise.
_TURNS = {90: "rot270", 180: "rot180", -180: "rot180", -90: "rot90", 270: "rot90"}


class Clip:
    """A clip, and which quarter of it is wanted. Width and height are as stored, in pixels."""

    def __init__(self, data: bytes, quarter: int) -> None:
        """Read the header. Raise Refused if it is not a clip, or has no picture."""
        form = _FORMATS.get(data[4:8]) or _FORMATS.get(data[:4])
        if form is None:
            raise _child["Refused"](_child["NO_IMAGE"])
        self._quarter = quarter
        try:
            self._container = av.open(BytesIO(data), "r", format=form)
            self._stream = self._container.streams.video[0]
        except Exception:  # noqa: BLE001 - Damaged data can make demuxers raise anything.
            raise _child["Refused"](_child["NO_IMAGE"]) from None
        self._stream.thread_type, self._stream.codec_context.thread_count = "NONE", 1
        self.width, self.height = self._stream.codec_context.width, self._stream.codec_context.height

    def read(self, side: int) -> Any:
        """Return the pixels, scaled down. A clip is read once."""
        with self._container:
            frame = self._frame()
        share = min(1, side / max(frame.width, frame.height))
        width, height = (max(1, round(length * share)) for length in (frame.width, frame.height))
        pixels = frame.reformat(width, height, "rgb24").to_ndarray().tobytes()
        image = pyvips.Image.new_from_memory(pixels, width, height, 3, "uchar").copy(interpretation="srgb")
        turn = _TURNS.get(round(frame.rotation))
        return getattr(image, turn)() if turn else image

    def _frame(self) -> Any:
        """Return the first frame at or after the wanted time, or the last one before it."""
        times = self._times()
        wanted = times[0] + (times[-1] - times[0]) * self._quarter // QUARTERS
        self._container.seek(wanted, stream=self._stream, backward=True)
        end, found = _cpu_seconds() + _DECODE_SECONDS, None
        for frame in self._container.decode(self._stream):
            if frame.width * frame.height > self.width * self.height:
                raise ValueError("a frame is larger than the clip")
            found = frame
            if (frame.pts or 0) >= wanted or _cpu_seconds() > end:
                break
        if found is None:
            raise ValueError("no frame can be decoded")
        return found

    def _times(self) -> list[int]:
        """Return when frames are shown, in the stream's units."""
        times = []
        for number, packet in enumerate(self._container.demux(self._stream)):
            if packet.pts is not None:
                times.append(packet.pts)
            if number >= _PACKETS_AT_MOST:
                break
        return sorted(times) or [0]


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    # PyAV imports some of itself when it is first used, and later no file can be opened.
    Clip(_TINY, 0).read(1)
    av.logging.set_level(av.logging.PANIC)
    _child["main"](int(sys.argv[1]), Clip)
