"""Run in a local AWS: the groups' machines are processes of this computer, and Telegram is a fake.

The only module here that imports `deploy.local`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.conf import settings

from deploy.acceptance.places import Say
from deploy.acceptance.plan import AcceptanceError, Options
from deploy.acceptance.results import StepFailed
from deploy.loadtest import local
from deploy.loadtest.gauges import Known
from deploy.local import sample
from deploy.local.autoscaling.instances import Instance, State
from deploy.local.processes import PATIENCE_SECONDS, ChildFailed
from deploy.local.scaled_stack import ScaledStack
from deploy.local.telegram.client import TelegramControl
from deploy.provision import Order
from deploy.service import Service
from detection.model import weights
from metrics.health.findings import NotKnownHere

# A period of 30 s takes 1 s here, the shortest that CloudWatch's metrics can have.
TIME_SCALE = 1 / 30
# The job of a killed worker comes back after a minute, which is waiting too; the queue's template takes no less.
_HURRIED = {"JobsVisibilitySeconds": "10"}
_ADOPTED = (*local.ADOPTED, "IMAGES_BUCKET", "LOG_FOLDER")


class Here:
    """A local AWS: one of the run's own, or the emulator that the environment names."""

    interval = 0.2

    def __init__(self, options: Options) -> None:
        self._options = options
        self._stack: _Stack

    @contextmanager
    def opened(self, say: Say) -> Iterator[None]:
        """Start the emulators, and end them and all machines with the block."""
        chosen = sample.choose()
        weights.check(chosen.weights)
        own, service = self._options.local, Service(self._options.prefix)
        folder, values = self._options.out / "stack", {**_HURRIED, **self._options.parameters}
        self._stack = _Stack(
            folder, chosen.weights, say, parameters=values, service=service, scale=TIME_SCALE, own_aws=own
        )
        try:
            self._stack.start_aws()
            self._stack.start_telegram()
            yield
        except ChildFailed as error:
            raise AcceptanceError(str(error)) from error
        finally:
            self._stack.stop()

    def describe(self) -> str:
        """Say how much is emulated."""
        waiting = f"1 s of waiting is {1 / TIME_SCALE:g} s on AWS"
        return f"a local AWS, where machines are processes, Telegram is a fake, and {waiting}"

    def provision(self, order: Order, say: Say) -> None:
        """Deploy the stacks, run their groups, and register the webhook."""
        stack = self._stack
        stack.step = say
        try:
            stack.provision()
            stack.start_front()
            stack.start_roles()
            stack.set_webhook()
        except ChildFailed as error:
            raise StepFailed(str(error)) from error
        stack.adopt(*_ADOPTED)
        TelegramControl(stack.telegram_url).set(rate_limits=True)

    def photo(self) -> bytes:
        """Return a photo for the model that runs here."""
        return sample.choose().photo

    def known(self) -> Callable[[], Known] | None:
        """Return what the emulation of Auto Scaling knows: the emulator takes every machine for one in service."""

        def known() -> Known:
            try:
                return local.known(self._stack, self._stack.env["ASG_NAME"])
            except ChildFailed as error:
                raise StepFailed(str(error)) from error

        return known

    def patience(self, seconds: float) -> float:
        """Return what is far longer than anything here takes."""
        return PATIENCE_SECONDS

    def kill_worker(self) -> str:
        """Kill a worker's process."""
        fleet = self._stack.autoscaling.fleets[self._stack.env["ASG_NAME"]]
        working = [one for one in list(fleet.instances.values()) if _works(one)]
        for one in working[:1]:
            assert one.child is not None
            one.child.kill()
            return one.instance_id
        return ""

    def memory(self) -> str:
        """Know nothing: a process here is not a machine."""
        raise NotKnownHere("a machine is a process of this computer")


def _works(instance: Instance) -> bool:
    return instance.state is State.IN_SERVICE and instance.child is not None and instance.child.running


@dataclass
class _Stack(ScaledStack):
    """The service on this machine, in an AWS of its own or in the one that the environment names."""

    own_aws: bool = True

    def start_aws(self) -> None:
        """Start an AWS, or take what is there."""
        if self.own_aws or not settings.AWS_ENDPOINT_URL:
            super().start_aws()
            return
        self.endpoint = settings.AWS_ENDPOINT_URL.rstrip("/")
        self.env |= {"AWS_ENDPOINT_URL": self.endpoint, "AWS_REGION": settings.AWS_REGION}
