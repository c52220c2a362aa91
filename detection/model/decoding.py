"""Decode a stranger's file in a child process (detection/model/decoder_child.py), so that it can break nothing else.

Everything but ordinary JPEGs comes here, one file at a time. A child that dies of a file, grows too large or takes too
long is replaced, and the file refused. The process that holds the service's secrets parses none of the file's bytes.
"""

import ctypes
import os
import select
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from django.conf import settings
from numpy.typing import NDArray

from detection.picture.image_headers import UnreadableImage, too_many_pixels
from detection.record.sentences import Code

log = structlog.get_logger()

_CHILD = Path(__file__).with_name("decoder_child.py")
_CLIP_CHILD = Path(__file__).with_name("clip_child.py")
# The protocol, repeated: the child imports nothing of the service, and this process no decoder.
_REQUEST, _REPLY = struct.Struct("!QIB"), struct.Struct("!BII")
_DECODED, _NO_IMAGE, _TOO_MANY_PIXELS, _DAMAGED = range(4)
# Longer side of the decoded image, in pixels. Telegram shows photos at 1280, and the model sees them at 640.
_SIDE = 1600
# At full resolution it comes by so many rows. Beyond this width a legend alone would take too much memory.
_ROWS, FULL_SIDE = 256, 16_384
# Resident. A phone's HEIC of 48 megapixels takes 260 MB, an interlaced PNG of that size 230.
_LARGEST_BYTES = 330 << 20
# Both processes together leave this much of the container's memory: a large worker means a smaller child.
_SPARE_BYTES = 28 << 20
# A child that keeps more than this between images is replaced: a new one takes 40 MB.
_IDLE_BYTES = 100 << 20
# The child limits itself to 6 s of CPU, which take longer next to a busy model.
_IMAGE_SECONDS = 60.0
_START_SECONDS = 60.0
_LOOK_SECONDS = 0.02
_PR_SET_DUMPABLE = 4
# One thread of libvips and one arena of malloc take the least memory; a temporary file cannot be opened.
_ENVIRONMENT = {"VIPS_CONCURRENCY": "1", "MALLOC_ARENA_MAX": "1", "VIPS_DISC_THRESHOLD": "4g"}


class _Lost(Exception):
    """The child did not survive an image. The text says what happened to it."""


class _Ended(_Lost):
    """The child has ended."""


class _NotBegun(RuntimeError):
    """The child ended before it began with the image, so the image is not to blame."""


class Decoder:
    """A child process that is started when it is first needed, and kept."""

    def __init__(self, script: Path | None = None, *arguments: str, before: Sequence["Decoder"] = ()) -> None:
        """`before`: decoders whose children have the memory first."""
        self._script, self._arguments, self._before = script, arguments, before
        self._lock = threading.Lock()
        self._child: _Child | None = None

    def decode(self, photo: bytes | bytearray, quarter: int = 0) -> NDArray[np.uint8]:
        """Return the image, or its first frame, upright, at most 1600 pixels a side, as BGR. Raise UnreadableImage.

        Of a clip, return the frame at that quarter of its time (0 to 3).
        """
        with self._lock:
            _return_free_memory()
            with self._asked(photo, _SIDE, quarter) as reply:
                image = np.empty((reply.height, reply.width, 3), np.uint8)
                reply.read(image)
                return image

    @contextmanager
    def full(self, photo: bytes | bytearray, side: int = FULL_SIDE) -> Iterator["Rows"]:
        """Decode the image at its full size, up to `side` pixels a side, while it is read.

        Raise UnreadableImage, also in the midst of it.
        """
        with self._lock:
            _return_free_memory()
            with self._asked(photo, side) as reply:
                yield Rows(reply)

    def text(self, photo: bytes | bytearray) -> str:
        """Return what a child that reads replies about a photo. Raise UnreadableImage."""
        with self._lock:
            _return_free_memory()
            with self._asked(photo, FULL_SIDE) as reply:
                said = np.empty((reply.height, reply.width), np.uint8)
                reply.read(said)
                return said.tobytes().decode(errors="replace")

    @property
    def resident(self) -> int:
        """Return the child's resident memory in bytes, 0 without one."""
        return self._child.resident if self._child else 0

    @property
    def pid(self) -> int | None:
        """Return the id of the child, or None if it has not started or has ended."""
        return self._child.pid if self._child and self._child.alive else None

    def end(self) -> None:
        """End the child, if one was started."""
        with self._lock:
            if self._child:
                self._child.end()

    @contextmanager
    def _asked(self, photo: bytes | bytearray, side: int, quarter: int = 0) -> Iterator["_Reply"]:
        """Ask the child for the image, and end it if it is lost or has not been read to the end."""
        try:
            try:
                reply = self._ask(photo, side, quarter)
            except _NotBegun:
                reply = self._ask(photo, side, quarter)
            self._check(reply, side)
            yield reply
        except _Lost as lost:
            log.warning("decoder_lost", reason=str(lost), photo_bytes=len(photo))
            raise UnreadableImage(Code.TOO_MUCH) from lost
        finally:
            if self._child and (self._child.busy or self._child.resident > _IDLE_BYTES):
                self._child.end()

    def _ask(self, photo: bytes | bytearray, side: int, quarter: int) -> "_Reply":
        """Ask the child, or a new one in place of one that ended."""
        if self._child and not self._child.alive:
            self._child.end()
            self._child = None
        child = self._child = self._child or _Child(self._script or _CHILD, self._arguments, self._before)
        return child.ask(photo, side, quarter)

    def _check(self, reply: "_Reply", side: int) -> None:
        if reply.code == _TOO_MANY_PIXELS:
            raise too_many_pixels(reply.width, reply.height)
        if reply.code != _DECODED:
            raise UnreadableImage(Code.NO_IMAGE if reply.code == _NO_IMAGE else Code.DAMAGED)
        if not (0 < reply.width <= side and 0 < reply.height <= side):
            raise _Lost(f"it replied {reply.width} x {reply.height} pixels")


class _Child:
    """A running child process and its two pipes."""

    def __init__(self, script: Path, arguments: Sequence[str] = (), before: Sequence[Decoder] = ()) -> None:
        """Start it and wait until it is ready. Raise RuntimeError if it ends before that."""
        _hide_memory()
        self._before = before
        command = [sys.executable, "-I", str(script), str(int(settings.PHOTO_MAX_MEGAPIXELS * 1e6)), *arguments]
        # In a session of its own, so that Ctrl-C lets the worker finish its photos. What it starts ends with it.
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=_ENVIRONMENT,
            cwd="/",
            bufsize=0,
            start_new_session=True,
        )
        assert self._process.stdin
        assert self._process.stdout
        self._requests, self._replies = self._process.stdin.fileno(), self._process.stdout.fileno()
        self.pid = self._process.pid
        # Whether there is more to read of a reply.
        self.busy = False
        os.set_blocking(self._requests, False)
        try:
            self._receive(bytearray(_REPLY.size), time.monotonic() + _START_SECONDS)
        except _Lost as lost:
            self.end()
            raise RuntimeError(f"The decoder did not start: {lost}") from lost

    @property
    def alive(self) -> bool:
        """Return whether it runs."""
        return self._process.poll() is None

    @property
    def resident(self) -> int:
        """Return its resident memory in bytes, or 0 if it has ended, or this is not Linux."""
        return _resident(self.pid)

    def ask(self, photo: bytes | bytearray, side: int, quarter: int) -> "_Reply":
        """Return the reply, whose pixels are yet to be read. If the child is lost, end it; raise _Lost or _NotBegun."""
        deadline = time.monotonic() + _IMAGE_SECONDS
        head = bytearray(_REPLY.size)
        self.busy = True
        try:
            try:
                self._send(_REQUEST.pack(len(photo), side, quarter), deadline)
                self._send(photo, deadline)
                self._receive(head, deadline)
            except _Ended as ended:
                raise _NotBegun("The decoder ended before it began") from ended
            self._receive(head, deadline)
        except BaseException:
            self.end()
            raise
        code, width, height = _REPLY.unpack(head)
        self.busy = code == _DECODED
        return _Reply(self, deadline, code, width, height)

    def read(self, rows: NDArray[np.uint8], deadline: float, *, last: bool) -> None:
        """Fill in the next rows of the reply's pixels. Raise _Lost."""
        self._receive(rows.data.cast("B"), deadline)
        self.busy = not last

    def end(self) -> None:
        """Kill it, and whatever it may have started, and close its pipes."""
        # Of a group whose processes have all ended, macOS says that it isn't ours.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            pipe.close()

    def _send(self, data: bytes | bytearray, deadline: float) -> None:
        rest = memoryview(data)
        while rest:
            self._wait(self._requests, select.POLLOUT, deadline)
            try:
                rest = rest[os.write(self._requests, rest) :]
            except BrokenPipeError as error:
                raise self._ended() from error

    def _receive(self, buffer: Any, deadline: float) -> None:
        rest = memoryview(buffer)
        while rest:
            self._wait(self._replies, select.POLLIN, deadline)
            count = os.readv(self._replies, [rest])
            if count == 0:
                raise self._ended()
            rest = rest[count:]

    def _wait(self, pipe: int, event: int, deadline: float) -> None:
        """Wait until the pipe is ready, and watch time and memory meanwhile."""
        poll = select.poll()
        poll.register(pipe, event)
        while not poll.poll(_LOOK_SECONDS * 1000):
            others = sum(decoder.resident for decoder in self._before)
            left = _allowed_bytes() - _SPARE_BYTES - _resident("self") - others
            # Never less than an idle child takes: next to a very large worker it would not even start.
            if self.resident > max(_IDLE_BYTES, min(_LARGEST_BYTES, left)):
                raise _Lost("it took too much memory")
            if time.monotonic() > deadline:
                raise _Lost("it took too long")

    def _ended(self) -> _Ended:
        return _Ended(f"it ended with {self._process.wait()}")


class _Reply:
    """The child's reply about an image; the pixels of a decoded one can be read once."""

    def __init__(self, child: _Child, deadline: float, code: int, width: int, height: int) -> None:
        self._child, self._deadline = child, deadline
        self.code, self.width, self.height = code, width, height
        self._left = height

    def read(self, rows: NDArray[np.uint8]) -> None:
        """Fill in the next rows. Raise _Lost."""
        self._left -= len(rows)
        self._child.read(rows, self._deadline, last=not self._left)


@dataclass(frozen=True, slots=True)
class Rows:
    """An image that is decoded while it is read; its size is in pixels."""

    _reply: _Reply

    @property
    def size(self) -> tuple[int, int]:
        """Return its width and height."""
        return self._reply.width, self._reply.height

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """Yield its rows as BGR, some hundreds at a time."""
        width, height = self.size
        for top in range(0, height, _ROWS):
            rows = np.empty((min(_ROWS, height - top), width, 3), np.uint8)
            self._reply.read(rows)
            yield rows


def _hide_memory() -> None:
    """Keep other processes of this user, such as the child, from reading this one's memory and environment."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _return_free_memory() -> None:
    """Return to the kernel what malloc keeps for the next ordinary photo (yolo.py): the child may need it."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim:
        trim(0)


@cache
def _allowed_bytes() -> int:
    """Return the memory of this container (deploy/docker/run.sh: 768 MB of 1 GiB), or else of the machine."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    group = Path("/proc/self/cgroup")
    unified = [line[3:] for line in group.read_text().splitlines() if line[:3] == "0::"] if group.exists() else []
    for path in unified:
        limit = Path(f"/sys/fs/cgroup{path}/memory.max")
        if limit.exists() and (text := limit.read_text().strip()).isdecimal():
            return min(machine, int(text))
    return machine


def _resident(process: int | str) -> int:
    try:
        pages = Path(f"/proc/{process}/statm").read_text().split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


DECODER = Decoder()
CLIPS = Decoder(_CLIP_CHILD)
