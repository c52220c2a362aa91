"""What a worker does beside its tasks, as Celery bootsteps.

Every role keeps its messages hidden and watches itself. A worker of the jobs queue also loads the model before it
receives, and leaves in time when its machine has to go.
"""

import os
import signal
import time
from functools import cache
from typing import Any

import structlog
from celery import Celery, bootsteps
from celery.signals import beat_embedded_init, worker_shutdown, worker_shutting_down
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from botsite import aws
from botsite.settings import require
from botsite.sqs import loops
from botsite.sqs.heartbeat import LONGEST_JOB_SECONDS, Heartbeat
from botsite.sqs.watchdog import Signs, Watchdog, end_with
from detection import callback
from detection.model import weights
from detection.termination import Farewell

log = structlog.get_logger()

# A callback under way waits for Telegram; the machine is about to go.
_CALLBACKS_SECONDS = 15
# This process's id, also in an embedded beat, which is forked from it: once its worker is gone, it cannot ask any more.
_WORKER = os.getpid()


def _consumes_jobs(worker: Any) -> bool:
    return "jobs" in worker.app.amqp.queues.consume_from


@cache
def farewell() -> Farewell:
    """Return the watch over this machine: when it has to go, the worker is stopped as by SIGTERM."""
    return Farewell(leave=lambda: os.kill(os.getpid(), signal.SIGTERM))


class LoadModel(bootsteps.StartStopStep):
    """Load and warm the model before the first message is received, so that no message waits for it."""

    requires = ("celery.worker.components:Pool",)

    def include_if(self, worker: Any) -> bool:
        """Return whether this worker consumes jobs: the metric role needs no model."""
        return _consumes_jobs(worker)

    def start(self, worker: Any) -> None:
        """Load the model in this, the main, process (the pool is of threads), and make the clients of AWS."""
        from detection.model import yolo

        try:
            require("yolo5")
            aws.dynamodb()
            aws.s3()
            callback.start()
            yolo.load()
        except (ImproperlyConfigured, weights.WeightsMissing) as error:
            log.critical("worker_cannot_start", error=str(error))
            raise SystemExit(1) from error
        farewell().start()


class KeepHidden(bootsteps.StartStopStep):
    """Extend the visibility of messages in work; watch that messages come and the event loop turns."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **_: Any) -> None:
        self._heartbeat: Heartbeat | None = None
        self._watchdog: Watchdog | None = None
        self._leaving = False
        self._ticked_at = time.monotonic()
        worker_shutting_down.connect(self._leave)

    def start(self, consumer: Any) -> None:
        """Begin; called again after a reconnect, with another channel."""
        self._channel = consumer.task_consumer.channel
        self._beat = consumer.controller.beat
        self._ticked_at = time.monotonic()
        consumer.timer.call_repeatedly(1.0, self._tick)
        if self._heartbeat is None or self._watchdog is None:
            queues = consumer.app.conf.broker_transport_options["predefined_queues"]
            urls = [queues[name]["url"] for name in consumer.app.amqp.queues.consume_from]
            self._heartbeat = Heartbeat(lambda: self._channel.held(), urls)
            self._watchdog = Watchdog(self._signs, settings.LIVENESS_FILE)
            self._heartbeat.start()
            self._watchdog.start()

    def stop(self, consumer: Any) -> None:
        """Go on: the pool still has jobs to finish."""

    def shutdown(self, consumer: Any) -> None:
        """Stop before the channel gives back what it holds: extended again, it would stay hidden."""
        if self._heartbeat and self._watchdog:
            self._heartbeat.stop()
            self._watchdog.stop()

    def _tick(self) -> None:
        self._ticked_at = time.monotonic()

    def _leave(self, **_: Any) -> None:
        self._leaving = True

    def _signs(self) -> Signs:
        """Return what there is to judge. While leaving, the event loop stands still and nothing is received."""
        now = time.monotonic()
        heard_at = None if self._leaving or not self._channel.qos.can_consume() else self._channel.last_receive
        assert self._heartbeat is not None
        return Signs(
            loop_age=None if self._leaving else now - self._ticked_at,
            receive_age=None if heard_at is None else now - heard_at,
            oldest_job_age=self._heartbeat.oldest_seconds,
            longest_job=LONGEST_JOB_SECONDS,
            beat_ended=self._beat is not None and not self._leaving and not self._beat.is_alive(),
            dead_threads=loops.dead(),
        )


def register(app: Celery) -> None:
    """Add the steps to every worker of `app`."""
    app.steps["worker"].add(LoadModel)
    app.steps["consumer"].add(KeepHidden)


@beat_embedded_init.connect
def leave_together(**_: Any) -> None:
    """In the process of beat: end with the worker. The other way round, the worker sees that beat has ended."""
    end_with(_WORKER)


@worker_shutdown.connect
def say_goodbye(**_: Any) -> None:
    """Let the callbacks of finished jobs out, then the machine: by now no job is running and no message is held."""
    callback.drain(_CALLBACKS_SECONDS)
    farewell().complete()
