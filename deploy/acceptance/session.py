"""Run the steps one after the other, and whatever happens, delete in the end what was made."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import httpx
from botocore.exceptions import BotoCoreError, ClientError
from django.core.exceptions import ImproperlyConfigured

from botsite import aws, release
from botsite.bot.telegram.errors import TelegramError
from deploy import interrupts
from deploy.acceptance import plan
from deploy.acceptance.account import Account
from deploy.acceptance.photos import Rehearsal
from deploy.acceptance.plan import AcceptanceOptions
from deploy.acceptance.report import AcceptanceReport, StepFailed, StepResult, StepScreen, StepState
from deploy.acceptance.steps import STEPS, TEARDOWN, AcceptanceStep
from deploy.certificates.choice import Way
from deploy.cfn import remedies
from deploy.cfn.cloudformation import StackError
from deploy.loadtest.plan import LoadTestError
from deploy.provision import Order
from deploy.service import Service
from metrics.health.findings import NotKnownHere
from metrics.service import MetricFailed

# What a step meets outside this program, or raises itself.
_FAILURES = (
    StepFailed,
    StackError,
    ClientError,
    BotoCoreError,
    TelegramError,
    LoadTestError,
    MetricFailed,
    ImproperlyConfigured,
    httpx.HTTPError,
    OSError,
)
# Has somebody agree to the order, and returns it as the account can carry it out.
Ready = Callable[[Order, float], Order]


def run(options: AcceptanceOptions, ready: Ready, screen: StepScreen) -> AcceptanceReport:
    """Run everything and return the report. Raise AcceptanceError, and whatever `ready` raises, with nothing made."""
    place = _place(options)
    with place.opened(screen.say):
        service = Service(options.prefix)
        for note in plan.refuse_taken(service):
            screen.line(note)
        order = Order(service, options.parameters, Way(self_signed=True))
        order = ready(order, sum(line.dollars for line in plan.cost(order, options.photos)))
        steps = chosen(options)
        titles = [step.title for step in (*steps, *([] if options.keep else [TEARDOWN]))]
        report = AcceptanceReport(options.out, _about(order, options, place), titles)
        with _hang_up_is_ctrl_c():
            Session(Rehearsal(options, order, place, screen.say), report, screen).go(steps)
    return report


def _place(options: AcceptanceOptions) -> Account:
    if not (options.local or aws.emulated()):
        return Account(options)
    # Only now: a run on AWS needs none of the laptop's tools.
    from deploy.acceptance.laptop import Laptop

    return Laptop(options)


def chosen(options: AcceptanceOptions) -> list[AcceptanceStep]:
    """Return the steps to run: those that are asked for, and those that they need."""
    names = set(options.only)
    for step in reversed(STEPS):
        if step.name in names:
            names.update(step.needs)
    return [step for step in STEPS if not names or step.name in names]


class Session:
    """One run of the steps."""

    def __init__(self, run: Rehearsal, report: AcceptanceReport, screen: StepScreen) -> None:
        self._run, self._report, self._screen = run, report, screen

    def go(self, steps: Sequence[AcceptanceStep], last: AcceptanceStep = TEARDOWN) -> None:
        """Run the steps; Ctrl-C ends them, and the last one deletes everything however they end."""
        try:
            for step in steps:
                self._attempt(step)
        except KeyboardInterrupt:
            self._report.interrupted = True
            self._screen.line("Stopped. Ctrl-C again leaves what is there, and says what.")
        finally:
            self._end(last)
            self._report.save()

    def _end(self, last: AcceptanceStep) -> None:
        if self._run.options.keep:
            self._report.left = self._left()
            return
        try:
            self._attempt(last)
        except KeyboardInterrupt:
            self._report.interrupted = True
            self._screen.line("Stopped in the middle of the teardown.")
        finally:
            if not self._report.passed(last.name):
                self._report.left = self._left()

    def _attempt(self, step: AcceptanceStep) -> None:
        result, began = StepResult(step.name, step.title), time.monotonic()
        try:
            self._report.begin(result)
            if without := [name for name in step.needs if not self._report.passed(name)]:
                result.state, result.note = StepState.SKIPPED, f"it needs {', '.join(without)}"
            else:
                self._screen.begins(step.title)
                self._do(step, result)
        except KeyboardInterrupt:
            result.state = StepState.INTERRUPTED
            raise
        finally:
            result.seconds = round(time.monotonic() - began, 1)
            if result.state is StepState.RUNNING:
                result.state, result.note = StepState.FAILED, "an error in this program"
            self._report.save()
            self._screen.ends(result)

    def _do(self, step: AcceptanceStep, result: StepResult) -> None:
        """Carry out a step, and keep what it measured, however it ends."""
        try:
            for measure in step.do(self._run):
                result.measures.append(measure)
                self._report.save()
            result.state = StepState.PASSED
        except NotKnownHere as reason:
            result.state, result.note = StepState.UNKNOWN, str(reason)
        except _FAILURES as error:
            result.state, result.note = StepState.FAILED, _explained(error)

    def _left(self) -> list[str]:
        """Return what is still there, what it costs, and how to delete it."""
        service = self._run.service
        with interrupts.handled(signal.SIGINT, signal.SIGTERM, handler=signal.SIG_IGN):
            try:
                names = plan.existing(service, "stack")
                there = f"stacks: {', '.join(names)}" if names else "no stack, but perhaps images and a certificate"
                price = f"about US$ {plan.hour(self._run.order):.2f} an hour"
            except (StackError, ClientError, BotoCoreError) as error:
                there, price = f"not known: {_explained(error)}", "about US$ 0.10 an hour"
        return [there, price, f"delete it: python manage.py teardown --prefix {service} --yes"]


def _about(order: Order, options: AcceptanceOptions, place: Account) -> dict[str, str]:
    """Return the lines above the table, without the account: the report is for everybody."""
    values = plan.values(order)
    how = "through the webhook" if options.bot else "into the queue directly: there is no bot, nobody is answered"
    given = " ".join(f"{name}={value}" for name, value in options.parameters.items())
    return {
        "where": str(place),
        "release": release.text(),
        "prefix": options.prefix,
        "workers": f"at most {values['MaxWorkers']} {values['WorkerType']}, {values['WarmMachines']} in a warm pool; "
        f"standby {values['StandbyWorker']}",
        "parameters": given or "the defaults",
        "photos": f"{options.photos} in a burst, sent {how}",
    }


def _explained(error: BaseException) -> str:
    text = remedies.explain(error) if isinstance(error, ClientError | BotoCoreError) else str(error)
    return text or type(error).__name__


@contextmanager
def _hang_up_is_ctrl_c() -> Iterator[None]:
    """End as at Ctrl-C when the terminal is closed, unless somebody (nohup) has chosen to go on then."""
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        yield
        return
    with interrupts.handled(signal.SIGHUP, handler=_without_terminal):
        yield


def _without_terminal(number: int, frame: FrameType | None) -> None:
    """Go on without a terminal, where a write would fail, and end as at Ctrl-C."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
    signal.raise_signal(signal.SIGINT)
