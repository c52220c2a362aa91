"""Load the model before a worker of the jobs queue receives, and let it receive only while its machine may work."""

import os
import signal
from functools import cache
from typing import Any

import structlog
from botocore.exceptions import BotoCoreError, ClientError
from celery import Celery, bootsteps
from celery.signals import worker_shutdown, worker_shutting_down
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from botsite import aws, pause
from botsite.settings import require
from botsite.sqs.receiving import RECEIVING
from botsite.standby import MACHINE, Standby
from detection.model import weights
from detection.record import known_classes
from detection.work import callback
from detection.work.process import JOBS
from detection.work.reports import Reporter, State
from detection.work.termination import Farewell

log = structlog.get_logger()

# A callback in flight waits for Telegram, and the machine is about to go.
_CALLBACKS_SECONDS = 15


def _consumes_jobs(worker: Any) -> bool:
    return "jobs" in worker.app.amqp.queues.consume_from


@cache
def farewell() -> Farewell:
    """Return the watch over this machine: when it has to go, the worker gets a SIGTERM."""
    return Farewell(leave=lambda: os.kill(os.getpid(), signal.SIGTERM))


@cache
def reporter() -> Reporter:
    """Return what tells the dashboard about this machine."""
    return Reporter(lambda: JOBS.count)


class Report(bootsteps.StartStopStep):
    """Say from the beginning that this machine is there; one that consumes no jobs is ready at once."""

    requires = ("celery.worker.components:Pool",)

    def start(self, worker: Any) -> None:
        """Begin to report. The machine of a worker on standby reports for the metric."""
        if settings.STANDBY_WORKER and _consumes_jobs(worker):
            reporter().machine = MACHINE
        reporter().state = State.STARTING if _consumes_jobs(worker) else State.READY
        reporter().start()


class LoadModel(bootsteps.StartStopStep):
    """Load and warm up the model before the first message is received, so that no message waits for it."""

    requires = (Report,)

    def include_if(self, worker: Any) -> bool:
        """Return whether this worker consumes jobs: the metrics role needs no model."""
        return _consumes_jobs(worker)

    def start(self, worker: Any) -> None:
        """Create the AWS clients and load the model, which all threads of the pool share."""
        from detection.model import reading, yolo

        try:
            require("yolo5")
            if settings.READ_TEXT:
                reading.check()
            aws.dynamodb()
            aws.s3()
            callback.start()
            model = yolo.load()
            reporter().model = model.name
        except (ImproperlyConfigured, weights.WeightsMissing) as error:
            log.critical("worker_cannot_start", error=str(error))
            raise SystemExit(1) from error
        try:
            known_classes.store(model.name, model.detector.labels.values(), model.detector.confidence)
        except (ClientError, BotoCoreError) as error:
            # People who ask what it knows are told of the model before.
            log.warning("classes_not_stored", error=str(error))


class WaitForService(bootsteps.StartStopStep):
    """Receive nothing until the machine may take jobs: one prepared for the warm pool may be stopped any moment."""

    requires = (LoadModel,)

    def include_if(self, worker: Any) -> bool:
        """Return whether this worker consumes jobs."""
        return _consumes_jobs(worker)

    def start(self, worker: Any) -> None:
        """Wait, alive for health checks, and begin to watch for the machine's end; a SIGTERM ends the wait.

        The machine of a worker on standby is the metric's, of another group: nobody waits for its jobs.
        """
        if settings.STANDBY_WORKER:
            Standby().begin()
        else:
            farewell().wait_for_service(_waits)
            farewell().start()
        reporter().state = State.READY
        RECEIVING.stop_while(lambda: pause.current() is not None)


def _waits() -> bool:
    """Show that the worker is alive, as the watchdog does once it receives; return whether it is to go on."""
    from celery.worker import state

    settings.LIVENESS_FILE.parent.mkdir(parents=True, exist_ok=True)
    settings.LIVENESS_FILE.touch()
    return state.should_stop is None and state.should_terminate is None


def register(app: Celery) -> None:
    """Have the workers of `app` report; those of jobs load the model, and wait until their machine may work."""
    app.steps["worker"].update({Report, LoadModel, WaitForService})


@worker_shutting_down.connect
def say_so(**_: Any) -> None:
    """Report that this worker only finishes what it has."""
    reporter().state = State.LEAVING


@worker_shutdown.connect
def leave(**_: Any) -> None:
    """Make the callbacks that are due, then let the machine go: no job is running and no message is held by now."""
    callback.drain(_CALLBACKS_SECONDS)
    farewell().complete()
