"""Let one run at a time change a service: whose turn it is stands in a parameter of AWS Systems Manager.

It costs nothing, needs no stack, and of several runs that want to make it, AWS lets only one.
"""

import json
import os
import socket
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from botsite import aws
from deploy.service import Service
from metrics.health.words import span

# Even a first run with all its bakes, on a slow day, ends within a third of this.
_LONGEST = timedelta(hours=6)


@dataclass(frozen=True)
class Run:
    """A run of a command that changes a service: whose it is, since when, and in which process of which machine."""

    command: str
    by: str
    since: str
    host: str
    pid: int

    def __str__(self) -> str:
        ago = span((datetime.now(UTC) - datetime.fromisoformat(self.since)).total_seconds())
        return f"`{self.command}`, started by {self.by} {ago} ago ({self.since}; process {self.pid} on {self.host})"

    @property
    def ended(self) -> bool:
        """Whether it certainly runs no more: its process on this machine is gone, or it is hours old."""
        if datetime.now(UTC) - datetime.fromisoformat(self.since) > _LONGEST:
            return True
        return self.host == socket.gethostname() and not _running(self.pid)


def this_run(command: str, who: str) -> Run:
    """Return this process's run of a command, started now by the owner of this ARN."""
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return Run(command, who.rpartition(":")[2], since, socket.gethostname(), os.getpid())


def begin(service: Service, run: Run) -> Run | None:
    """Take the turn; return None if it is this run's now, else the run that has it."""
    ssm = aws.client("ssm")
    while True:
        try:
            ssm.put_parameter(Name=_name(service), Type="String", Value=json.dumps(asdict(run)))
            return None
        except ssm.exceptions.ParameterAlreadyExists:
            holder = read(service)
            if holder == run:
                # The answer to an earlier attempt was lost.
                return None
            if holder:
                return holder


def take_over(service: Service, holder: Run, run: Run) -> Run | None:
    """Take the turn from a run that has ended; return as `begin` does."""
    end(service, holder)
    return begin(service, run)


def end(service: Service, run: Run) -> None:
    """Give the turn back, unless another run has taken it over."""
    ssm = aws.client("ssm")
    if read(service) == run:
        with suppress(ssm.exceptions.ParameterNotFound):
            ssm.delete_parameter(Name=_name(service))


def read(service: Service) -> Run | None:
    """Return the run whose turn it is, None if nobody is changing the service."""
    ssm = aws.client("ssm")
    try:
        return Run(**json.loads(ssm.get_parameter(Name=_name(service))["Parameter"]["Value"]))
    except ssm.exceptions.ParameterNotFound:
        return None


def _name(service: Service) -> str:
    # AWS keeps names that begin with "aws" or "ssm" for itself, and a prefix may.
    return f"/deploying/{service}"


def _running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        # Another user's.
        pass
    return True
