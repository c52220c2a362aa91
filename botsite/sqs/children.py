"""Have the jobs of child processes, in Celery's prefork pool, report to the worker that forked them."""

import select
import socket
import threading
from typing import Any

from celery.signals import worker_process_init

from .loops import Loop
from .receiving import RECEIVING

_LONGEST_BYTES = 4096  # Of an error, as text.
_WAIT_SECONDS = 1.0


class Children(Loop):
    """Hear in this process what its children say by `RECEIVING.failed` and `RECEIVING.worked`.

    To be started before the first child is forked.
    """

    def __init__(self) -> None:
        super().__init__("children", self._listen)
        self._ear, self._mouth = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._ear.setblocking(False)
        self._hearing = threading.Lock()
        RECEIVING.before_settled(self.hear)
        worker_process_init.connect(self._begin_child)

    def hear(self) -> None:
        """Take in everything that has been said so far: what a job says comes before its result."""
        with self._hearing:
            while said := self._next():
                RECEIVING.noted(said.decode(errors="replace").removeprefix(" "))

    def _next(self) -> bytes:
        try:
            return self._ear.recv(_LONGEST_BYTES)
        except BlockingIOError:
            return b""

    def _listen(self) -> None:
        # A child that says more than fits into the socket waits until it is heard, so its result can't be waited for.
        if select.select([self._ear], [], [], _WAIT_SECONDS)[0]:
            self.hear()

    def _begin_child(self, **_: Any) -> None:
        self._ear.close()
        # Empty, it would look as if nothing had been said.
        RECEIVING.become_child(lambda error: self._mouth.send(f" {error}".encode()[:_LONGEST_BYTES]))
