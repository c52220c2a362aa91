"""Decode a stranger's file in a child process (detection/model/decoder_child.py), so that it can break nothing else.

Everything but ordinary JPEGs comes here, one file at a time. A child that dies of a file, grows too large or takes too
long is replaced, and the file refused. The process that holds the service's secrets parses none of the file's bytes.
"""

import ctypes
import os
import select
import struct
import subprocess
import sys
import threading
import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from django.conf import settings
from numpy.typing import NDArray

from detection import sentences
from detection.image_headers import UnreadableImage, too_many_pixels

log = structlog.get_logger()

_CHILD = Path(__file__).with_name("decoder_child.py")
# The protocol and the longer side, repeated: the child imports nothing of the service, and this process no decoder.
_REQUEST, _REPLY = struct.Struct("!Q"), struct.Struct("!BII")
_DECODED, _NO_IMAGE, _TOO_MANY_PIXELS, _DAMAGED = range(4)
_SIDE = 1600
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

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: _Child | None = None

    def decode(self, photo: bytes | bytearray) -> NDArray[np.uint8]:
        """Return the image, or its first frame, upright, at most 1600 pixels a side, as BGR. Raise UnreadableImage."""
        with self._lock:
            _return_free_memory()
            try:
                try:
                    code, width, height, image = self._ask(photo)
                except _NotBegun:
                    code, width, height, image = self._ask(photo)
            except _Lost as lost:
                log.warning("decoder_lost", reason=str(lost), photo_bytes=len(photo))
                raise UnreadableImage(sentences.TOO_MUCH) from lost
        if code == _TOO_MANY_PIXELS:
            raise too_many_pixels(width, height)
        if image is None:
            raise UnreadableImage(sentences.NO_IMAGE if code == _NO_IMAGE else sentences.DAMAGED)
        return image

    @property
    def pid(self) -> int | None:
        """Return the id of the child, or None if it has not started or has ended."""
        return self._child.pid if self._child and self._child.alive else None

    def end(self) -> None:
        """End the child, if one was started."""
        with self._lock:
            if self._child:
                self._child.end()

    def _ask(self, photo: bytes | bytearray) -> tuple[int, int, int, NDArray[np.uint8] | None]:
        """Ask the child, or a new one in place of one that ended."""
        if self._child and not self._child.alive:
            self._child.end()
            self._child = None
        child = self._child = self._child or _Child()
        try:
            return child.ask(photo)
        finally:
            if child.resident > _IDLE_BYTES:
                child.end()


class _Child:
    """A running child process and its two pipes."""

    def __init__(self) -> None:
        """Start it and wait until it is ready. Raise RuntimeError if it ends before that."""
        command = [sys.executable, "-I", str(_CHILD), str(int(settings.PHOTO_MAX_MEGAPIXELS * 1e6))]
        # In a session of its own, so that Ctrl-C lets the worker finish its photos.
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

    def ask(self, photo: bytes | bytearray) -> tuple[int, int, int, NDArray[np.uint8] | None]:
        """Return code, width, height and pixels. If the child is lost, end it and raise _Lost or _NotBegun."""
        deadline = time.monotonic() + _IMAGE_SECONDS
        head = bytearray(_REPLY.size)
        try:
            try:
                self._send(_REQUEST.pack(len(photo)), deadline)
                self._send(photo, deadline)
                self._receive(head, deadline)
            except _Ended as ended:
                raise _NotBegun("The decoder ended before it began") from ended
            self._receive(head, deadline)
            code, width, height = _REPLY.unpack(head)
            if code != _DECODED:
                return code, width, height, None
            if not (0 < width <= _SIDE and 0 < height <= _SIDE):
                raise _Lost(f"it replied {width} x {height} pixels")
            image = np.empty((height, width, 3), np.uint8)
            self._receive(image.data.cast("B"), deadline)
        except BaseException:
            self.end()
            raise
        return code, width, height, image

    def end(self) -> None:
        """Kill it and close its pipes."""
        self._process.kill()
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
            left = _allowed_bytes() - _SPARE_BYTES - _resident("self")
            # Never less than an idle child takes: next to a very large worker it would not even start.
            if self.resident > max(_IDLE_BYTES, min(_LARGEST_BYTES, left)):
                raise _Lost("it took too much memory")
            if time.monotonic() > deadline:
                raise _Lost("it took too long")

    def _ended(self) -> _Ended:
        return _Ended(f"it ended with {self._process.wait()}")


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
