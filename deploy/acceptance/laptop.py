"""Run in a local AWS: the groups' machines are processes of this computer, and Telegram is a fake.

The only module here that imports `deploy.local`.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from deploy.acceptance.account import Account
from deploy.acceptance.plan import AcceptanceError, AcceptanceOptions
from deploy.acceptance.report import StepFailed
from deploy.loadtest import local
from deploy.loadtest.gauges import Known
from deploy.local import sample
from deploy.local.autoscaling.instances import State
from deploy.local.processes import PATIENCE_SECONDS, ChildFailed
from deploy.local.scaled_stack import ScaledStack
from deploy.local.telegram.client import TelegramControl
from deploy.patience import Say
from deploy.provision import Order
from deploy.service import Service
from detection.model import weights
from metrics.health.findings import NotKnownHere

# A period of 30 s takes 1 s here, the shortest that CloudWatch's metrics can have.
TIME_SCALE = 1 / 30
# The job of a killed worker comes back after a minute, which is waiting too; the queue's template takes no less.
_HURRIED = {"JobsVisibilitySeconds": "10"}
_ADOPTED = (*local.ADOPTED, "IMAGES_BUCKET", "LOG_FOLDER")


class Laptop(Account):
    """A local AWS: one of the run's own, or the emulator that the environment names."""

    interval, patience = 0.2, PATIENCE_SECONDS

    def __init__(self, options: AcceptanceOptions) -> None:
        super().__init__(options)
        self._stack: ScaledStack

    def __str__(self) -> str:
        waiting = f"1 s of waiting is {1 / TIME_SCALE:g} s on AWS"
        return f"a local AWS, where machines are processes, Telegram is a fake, and {waiting}"

    @contextmanager
    def opened(self, say: Say) -> Iterator[None]:
        """Start the emulators, and end them and all machines with the block."""
        model, service = sample.choose().weights, Service(self._options.prefix)
        weights.check(model)
        values = {**_HURRIED, **self._options.parameters}
        folder = self._options.out / "stack"
        self._stack = ScaledStack(folder, model, say, parameters=values, service=service, scale=TIME_SCALE)
        try:
            self._start_aws()
            self._stack.start_telegram()
            yield
        except ChildFailed as error:
            raise AcceptanceError(str(error)) from error
        finally:
            self._stack.stop()

    def _start_aws(self) -> None:
        if self._options.local or not settings.AWS_ENDPOINT_URL:
            self._stack.start_aws()
            return
        self._stack.endpoint = settings.AWS_ENDPOINT_URL.rstrip("/")
        self._stack.env |= {"AWS_ENDPOINT_URL": self._stack.endpoint, "AWS_REGION": settings.AWS_REGION}

    def provision(self, order: Order, say: Say) -> None:
        """Deploy the stacks, run their groups, and register the webhook. Raise StepFailed."""
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
        self.known = self._known

    def _known(self) -> Known:
        try:
            return local.known(self._stack, self._stack.env["ASG_NAME"])
        except ChildFailed as error:
            raise StepFailed(str(error)) from error

    def photo(self) -> bytes:
        """Return a photo for the model that runs here."""
        return sample.choose().photo

    def kill_worker(self) -> str:
        """Kill a worker's process; return its id, empty if none works."""
        fleet = self._stack.autoscaling.fleets[self._stack.env["ASG_NAME"]]
        for one in list(fleet.instances.values()):
            if one.state is State.IN_SERVICE and one.child is not None and one.child.running:
                one.child.kill()
                return one.instance_id
        return ""

    def memory(self) -> str:
        """Raise NotKnownHere: a process is not a machine."""
        raise NotKnownHere("a machine is a process of this computer")
