"""Where a run takes place: what differs between an AWS account and a local AWS on this machine."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from deploy.loadtest.gauges import Known
from deploy.provision import Order

Say = Callable[[str], None]


class Place(Protocol):
    """An AWS to run in. `interval` is how often the gauges are read, in seconds."""

    interval: float

    def opened(self, say: Say) -> AbstractContextManager[None]:
        """Have AWS there for the length of the block; the clients of AWS may be made inside."""

    def describe(self) -> str:
        """Return what kind of AWS this is, for the report."""

    def provision(self, order: Order, say: Say) -> None:
        """Make the service, and have this process's settings be those of it. Raise StepFailed."""

    def photo(self) -> bytes:
        """Return a photo that suits the model of the service."""

    def known(self) -> Callable[[], Known] | None:
        """Return what tells the states of machines and alarms better than AWS does; None on AWS."""

    def patience(self, seconds: float) -> float:
        """Return how long to wait here for what takes so long on AWS at most, in seconds."""

    def kill_worker(self) -> str:
        """End a machine that works, without warning; return its id, empty if none works."""

    def memory(self) -> str:
        """Return what `free -m` says on a worker's machine. Raise NotKnownHere."""
