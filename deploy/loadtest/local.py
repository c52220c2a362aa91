"""Have a stack to test on this machine for as long as the test runs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from deploy.loadtest.gauges import Known
from deploy.local import sample
from deploy.local.autoscaling.instances import State
from deploy.local.scaled_stack import TIME_SCALE, ScaledStack
from deploy.local.telegram.client import TelegramControl

# What the test reads of the stack; the rest of its environment is for the roles.
_ADOPTED = (
    "PREDICTIONS_TABLE",
    "JOBS_QUEUE_URL",
    "RESULTS_KEY",
    "PREDICTION_ID_KEY",
    "TELEGRAM_WEBHOOK_SECRET",
    "TELEGRAM_API_URL",
    "TELEGRAM_TOKEN",
    "ASG_NAME",
    "METRIC_NAMESPACE",
)

WHERE = f"this machine: what only waits is scaled, 1 s is {1 / TIME_SCALE:g} s of AWS"


@contextmanager
def stack(folder: Path, step: Callable[[str], None]) -> Iterator[Callable[[], Known]]:
    """Run the whole service within the block, its Telegram as strict as the real one, and point this process at it.

    Yield what tells the states of instances and alarms: the emulator calls every instance "InService" at once, and an
    alarm raised at the first value.
    """
    running = ScaledStack(folder, sample.choose().weights, step)
    with running.running():
        running.adopt(*_ADOPTED)
        TelegramControl(running.telegram_url).set(rate_limits=True)
        yield partial(_known, running, running.env["ASG_NAME"])
        step("stopping the local stack")


def _known(running: ScaledStack, group_name: str) -> Known:
    """Return the true states. Raise ChildFailed if an instance ends whenever it is started."""
    running.raise_trouble()
    fleet = running.autoscaling.fleets[group_name]
    states = [instance.state for instance in list(fleet.instances.values())]
    decision = running.autoscaling.decision(group_name)
    numbers = {
        "in_service": states.count(State.IN_SERVICE),
        "pending": states.count(State.PENDING),
        "leaving": len(fleet.leaving),
    }
    if decision is None:
        return Known(numbers, {})
    return Known(numbers, {"high": decision.high, "low": decision.low, "first worker": decision.first})
