"""Register what a worker on SQS needs in addition to its transport, as Celery bootsteps."""

import os
import time
from typing import Any

from celery import Celery, bootsteps
from celery.signals import beat_embedded_init, worker_shutting_down

from . import loops, moving
from .children import Children
from .heartbeat import ONCE, Heartbeat
from .monitor import Monitor
from .options import Options
from .strict import StrictRequest
from .watchdog import Signs, Watchdog, end_with

_WRONG_POOL = "This transport works with the pools threads and prefork, not with {pool}: {why}. Set worker_pool."
_NO_GREENLETS = (
    "its greenlets would take the place of the threads that talk to SQS, and one that computes would stop them all. "
    "For tasks that wait, take threads, as many as you had greenlets"
)
_WRONG_POOLS = {
    "solo": "a task would hold up the event loop for as long as it runs. Take threads, with a concurrency of 1",
    "gevent": _NO_GREENLETS,
    "eventlet": _NO_GREENLETS,
}


def install(app: Celery) -> None:
    """Give an app this transport, and its workers the heartbeat, the watchdog, an orderly end and strict requests.

    What the app has configured stays as it is.
    """
    moving.fill_in(app)
    app.Task.Request = StrictRequest
    app.steps["worker"].update({ChoosePool, EndBeat})
    app.steps["consumer"].add(KeepHidden)


class ChoosePool(bootsteps.Step):
    """Before the pool starts, listen to its children, or refuse one that would not leave the event loop free."""

    def __init__(self, worker: Any, **_: Any) -> None:
        from celery.concurrency import prefork, thread

        pool = worker.pool_cls
        if issubclass(pool, prefork.TaskPool):
            Children().start()
        elif not issubclass(pool, thread.TaskPool):
            name = pool.__module__.rpartition(".")[2]
            why = _WRONG_POOLS.get(name, "nobody has tried whether it leaves the event loop free")
            raise SystemExit(_WRONG_POOL.format(pool=name, why=why))


class EndBeat(bootsteps.Step):
    """Have an embedded beat end with its worker; the other way round, the watchdog sees that beat has ended."""

    def __init__(self, worker: Any, **_: Any) -> None:
        # Asked now: beat is forked from this process, and once that is gone it cannot ask any more.
        pid = os.getpid()
        beat_embedded_init.connect(lambda **_: end_with(pid), weak=False)


class KeepHidden(bootsteps.StartStopStep):
    """Extend the visibility of messages in work; check that messages come and the event loop turns."""

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
            options: Options = self._channel.options
            urls = {self._channel._new_queue(name): name for name in consumer.app.amqp.queues.consume_from}
            clients = {url: self._channel.new_client_of(name, ONCE) for url, name in urls.items()}
            self._heartbeat = Heartbeat(clients, lambda: self._channel.held(), options)
            self._watchdog = Watchdog(self._signs, options)
            self._heartbeat.start()
            self._watchdog.start()
            if options.monitor_port:
                Monitor(self._signs, options).start()

    def stop(self, consumer: Any) -> None:
        """Go on: the pool still has jobs to finish."""

    def shutdown(self, consumer: Any) -> None:
        """Stop before the channel releases what it holds: a message extended after that would stay hidden."""
        if self._heartbeat and self._watchdog:
            self._heartbeat.stop()
            self._watchdog.stop()

    def _tick(self) -> None:
        self._ticked_at = time.monotonic()

    def _leave(self, **_: Any) -> None:
        self._leaving = True

    def _signs(self) -> Signs:
        """Return what there is to judge. During shutdown the event loop stands still and nothing is received."""
        now = time.monotonic()
        heard_at = None if self._leaving or not self._channel.qos.can_consume() else self._channel.last_receive
        assert self._heartbeat is not None
        return Signs(
            loop_age=None if self._leaving else now - self._ticked_at,
            receive_age=None if heard_at is None else now - heard_at,
            oldest_job_age=self._heartbeat.oldest_seconds,
            beat_ended=self._beat is not None and not self._leaving and not self._beat.is_alive(),
            dead_threads=loops.dead(),
        )
