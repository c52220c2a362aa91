"""Run a process as an emulated instance of an Auto Scaling group, from boot to termination."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from deploy.local.autoscaling.asg import Launch
from deploy.local.autoscaling.imds import Machine, MetadataService
from deploy.local.notice import Report
from deploy.local.processes import Child
from metrics import cloudwatch

# How long a process has to end once the hook's time is over: its container's stop timeout.
_STOP_SECONDS = 30.0
_FIRST_RESTART_SECONDS = 1.0
_LONGEST_RESTART_SECONDS = 30.0
# A process that ended this often before it was ready will never be.
_HOPELESS = 2


class State(StrEnum):
    """The life of an instance, in EC2 Auto Scaling's words."""

    PENDING = "Pending"
    IN_SERVICE = "InService"
    TERMINATING = "Terminating"
    TERMINATED = "Terminated"
    # In the pool: being prepared, on its way to being stopped, and stopped.
    PREPARING = "Warmed:Pending"
    STOPPING = "Warmed:Pending:Wait"
    STOPPED = "Warmed:Stopped"


_POOL = (State.PREPARING, State.STOPPING, State.STOPPED)


@dataclass(frozen=True)
class Role:
    """What a group's instances run: how to start the process, and how to tell that it works."""

    name: str
    start: Callable[["Instance"], Child]
    ready: Callable[["Instance"], bool]
    # Whether an instance that was ready must be replaced although its process is running.
    sick: Callable[["Instance"], bool] = lambda instance: False
    # Called once when an instance starts leaving.
    leaves: Callable[["Instance"], None] = lambda instance: None
    # Called again and again while an instance is in service, to look after what else runs there.
    tend: Callable[["Instance"], None] = lambda instance: None
    # Whether an instance of the pool has all it needs to work, and waits to be let.
    prepared: Callable[["Instance"], bool] = lambda instance: False


@dataclass(frozen=True)
class Times:
    """How long an instance takes until its process starts, in seconds: from its launch, and from being stopped."""

    boot: float
    resume: float


class Instance:
    """One instance. `tick` moves it on and never blocks; `report(text)` is called with what happens to it."""

    def __init__(
        self,
        listed: cloudwatch.Instance,
        launch: Launch,
        role: Role,
        service: MetadataService,
        times: Times,
        report: Report,
        pooled: bool = False,
    ) -> None:
        self.instance_id = listed.id
        # Just long enough to tell instances on a laptop apart.
        self.name = f"{role.name}-{listed.id[-4:]}"
        self.state = State.PREPARING if pooled else State.PENDING
        self.child: Child | None = None
        self.machine = Machine(listed.id, listed.zone, launch.instance_type, launch.role_arn)
        self.metadata_endpoint = service.add(self.machine)
        self.settings, self.image_id = launch.settings, launch.image_id
        self._drain_seconds = launch.drain_seconds
        self._role, self._service, self._times, self._report = role, service, times, report
        self._launched_at = self._since = time.monotonic()
        self._start_at = self._since + times.boot
        # How long the process still has to finish its work, and whether the group wants the machine back after that.
        self._patience, self._wanted = 0.0, False
        self._began = "its launch"
        self._failures = 0
        self._last_lines: list[str] = []
        self.machine.lifecycle_state = State.STOPPED if pooled else State.IN_SERVICE
        to = " into the pool" if pooled else ""
        report(f"{self.name} launches{to}: {listed.id} in {listed.zone}, {launch.instance_type}")

    @property
    def age(self) -> float:
        """Return the seconds since the launch, or since it came out of the pool."""
        return time.monotonic() - self._launched_at

    @property
    def trouble(self) -> str | None:
        """Return why it cannot come into service, with the process's last lines; None while it still may."""
        if self._failures < _HOPELESS:
            return None
        return "\n".join([f"{self.name} ends every time it is started. Its last lines:", *self._last_lines])

    def tick(self) -> None:
        """Do what is due: start the process, notice that it works or has ended, let it go."""
        now = time.monotonic()
        if self.state in (State.TERMINATING, State.STOPPING):
            self._end(now)
        elif self.state is State.STOPPED or now < self._start_at:
            return
        elif self.child is None:
            self.child = self._role.start(self)
        elif not self.child.running:
            self._replace(now, f"ended with code {self.child.process.returncode}")
        elif self.state is State.PREPARING and self._role.prepared(self):
            self._report(f"{self.name} is prepared, {now - self._since:.1f} s after its launch; stopping it")
            self.state, self._since, self._failures, self._patience = State.STOPPING, now, 0, 0.0
        elif self.state is State.PENDING and self._role.ready(self):
            self.state, self._failures = State.IN_SERVICE, 0
            self._report(f"{self.name} is in service, {now - self._since:.1f} s after {self._began}")
        elif self.state is State.IN_SERVICE and self._role.sick(self):
            self._replace(now, "is unhealthy")
        elif self.state is State.IN_SERVICE:
            self._role.tend(self)

    def leave(self) -> None:
        """Start leaving. The process learns of it from its metadata, and has the hook's time to finish its work."""
        self.machine.lifecycle_state = "Warmed:Terminated" if self.state in _POOL else "Terminated"
        self._finish(State.TERMINATING, "is leaving")

    def sleep(self) -> None:
        """Start going back to the pool, in the same way."""
        self.machine.lifecycle_state = State.STOPPED
        self._finish(State.STOPPING, "is going back to the pool")

    def wake(self) -> None:
        """Come out of the pool: as soon as it is stopped, or without having been.

        What is being stopped is not called back: its process may not know of it yet, and would never stop.
        """
        self._wanted = self.state is State.STOPPING
        if self.state is State.STOPPED:
            self._resume()
        elif self.state is State.PREPARING:
            self.machine.lifecycle_state = State.IN_SERVICE
            self.state, self._launched_at = State.PENDING, time.monotonic()
            self._report(f"{self.name} is needed before it is prepared")

    def _resume(self) -> None:
        self.machine.lifecycle_state = State.IN_SERVICE
        self.state, self._wanted, self._began = State.PENDING, False, "its start"
        self._launched_at = self._since = time.monotonic()
        self._start_at = self._since + self._times.resume
        self._report(f"{self.name} starts from the pool")

    def _finish(self, state: State, what: str) -> None:
        # Only what is in service has work.
        self._patience = self._drain_seconds if self.state is State.IN_SERVICE else 0.0
        self.state, self._since, self._wanted = state, time.monotonic(), False
        work = f" and has {self._patience + _STOP_SECONDS:.0f} s to finish its work" if self.child else ""
        self._report(f"{self.name} {what}{work}")
        self._role.leaves(self)

    def _end(self, now: float) -> None:
        """Wait for the process to exit; when the hook's time is over, tell it to; finally kill it."""
        waited = now - self._since
        if self.child and self.child.running and waited < self._patience + _STOP_SECONDS:
            if waited >= self._patience:
                self.child.terminate()
            return
        if self.child:
            # And whatever it left behind.
            self.child.kill()
        if self.state is State.STOPPING:
            self._stopped(waited)
            return
        self._service.remove(self.machine)
        self.state = State.TERMINATED
        self._report(f"{self.name} is gone after {waited:.1f} s")

    def _stopped(self, waited: float) -> None:
        self.child, self.state = None, State.STOPPED
        self._report(f"{self.name} is stopped in the pool after {waited:.1f} s")
        if self._wanted:
            self._resume()

    def _replace(self, now: float, why: str) -> None:
        """Restart the process, with a longer delay each time while it never becomes ready.

        On AWS another instance would take its place; ministack can only drop the last in its list.
        """
        assert self.child is not None
        self.child.kill()
        self.child.wait()
        self._last_lines = list(self.child.lines)[-15:]
        self.child = None
        if self.state is not State.IN_SERVICE:
            self._failures += 1
        wait = min(_FIRST_RESTART_SECONDS * 2 ** max(0, self._failures - 1), _LONGEST_RESTART_SECONDS)
        wait = max(wait, self._times.boot)
        self._report(f"{self.name} {why}; replacing it in {wait:.0f} s")
        if self.state is State.IN_SERVICE:
            self.state = State.PENDING
        self._since, self._start_at = now, now + wait
