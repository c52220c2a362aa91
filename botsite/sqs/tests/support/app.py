"""The Celery app of tests of the transport, without Django; Celery starts this module as the worker."""

import json
import logging
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from celery import Celery
from celery.exceptions import Reject
from celery.signals import worker_ready
from opentelemetry import trace
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.sdk.trace import TracerProvider

from ... import RECEIVING, Options, install, settings
from .processes import free_port, wait_until

REGION = "us-east-1"


def make_app(queues: str | Mapping[str, str], sqs: Options | None = None, **options: Any) -> Celery:
    """Return a Celery app with some tasks and one queue or several, set up like the shipped one."""
    # An app next to the shipped one: it is not the current one, shares no task and has nothing to do with Django.
    app = Celery("transport", set_as_current=False, fixups=[])
    ours = {"task_ignore_result": True, "worker_concurrency": 6}
    if isinstance(queues, str):
        queues = {"jobs.fifo" if queues.endswith(".fifo") else "jobs": queues}
    app.conf.update(settings(REGION, queues, sqs) | ours | options)
    install(app)

    @app.task(name="note", shared=False)
    def note(text: str, until: str = "") -> None:
        """Note in a file that this process ran this job. If `until` is given, wait for that file, and 3 s more."""
        write_note(text)
        if until:
            wait_until(Path(until).exists)
            time.sleep(3)

    @app.task(name="call_aws", shared=False)
    def call_aws(text: str, outage: str) -> None:
        """Fail like a job whose AWS is down as long as the file `outage` exists; then succeed."""
        if Path(outage).exists():
            write_note(f"{text} failed")
            RECEIVING.failed(ConnectionError("an outage"))
            raise ConnectionError("an outage")
        write_note(text)
        RECEIVING.worked()

    @app.task(name="send_another", shared=False)
    def send_another(*arguments: str) -> None:
        """Send what calls AWS, from where this runs."""
        call_aws.delay(*arguments)

    @app.task(name="work_alone", shared=False)
    def work_alone(until: str) -> None:
        """Wait until nothing else is in work, then for a file; note how many messages are held before and after."""
        with RECEIVING.stopped():
            # Not even its own, if a lost connection has released that in the meantime.
            wait_until(lambda: RECEIVING.held() <= 1)
            write_note("alone")
            wait_until(Path(until).exists)
            write_note(f"still {RECEIVING.held()}")

    @app.task(name="try_again", bind=True, max_retries=2, shared=False)
    def try_again(self: Any, seconds: float, text: str = "") -> None:
        """Retry twice, each time later."""
        write_note(f"{'long ' if text else ''}try {self.request.retries} at {time.time()}")
        if self.request.retries < 2:
            raise self.retry(countdown=seconds)

    @app.task(
        name="back_off",
        autoretry_for=(ConnectionError,),
        retry_backoff=1,
        retry_jitter=True,
        max_retries=2,
        bind=True,
        shared=False,
    )
    def back_off(self: Any) -> None:
        """Fail twice, then succeed."""
        write_note(f"back off {self.request.retries}")
        if self.request.retries < 2:
            raise ConnectionError("not yet")

    @app.task(name="reject", shared=False)
    def reject() -> None:
        """Refuse the message."""
        raise Reject("not mine", requeue=False)

    @app.task(name="tell", bind=True, shared=False)
    def tell(self: Any, event: Any) -> None:
        """Note what others than Celery have sent."""
        write_note(f"{self.request.id} {json.dumps(event)}")

    @app.task(name="note_trace", shared=False)
    def note_trace() -> None:
        """Note the trace that this belongs to."""
        write_note(f"trace {trace.get_current_span().get_span_context().trace_id:032x}")

    @app.task(name="note_time", shared=False)
    def note_time(text: str) -> None:
        """Note when this ran."""
        write_note(f"{text} at {time.time()}")

    return app


def write_note(text: str) -> None:
    """Append this process's id and a text to the file that the test reads."""
    with Path(os.environ["NOTES"]).open("a") as notes:
        notes.write(f"{os.getpid()} {text}\n")


if "WORKER" in os.environ:  # The test starts this file as a worker: `celery -A <this module>`.
    logging.basicConfig()
    logging.getLogger(settings.__module__.rpartition(".")[0]).setLevel(logging.INFO)
    told = json.loads(os.environ["WORKER"])
    if told["options"].pop("traced", False):
        CeleryInstrumentor().instrument(tracer_provider=TracerProvider())
    app = make_app(told["queues"], Options(**told["sqs"]), **told["options"])
    app.conf.broker_transport_options["wait_time_seconds"] = 1

    @worker_ready.connect
    def say_so(sender: Any, **_: Any) -> None:
        """Note that the worker has started."""

        @app.task(name="break_connection", shared=False)
        def break_connection() -> None:
            """Raise what Celery takes for a lost connection, where it would look for one."""
            sender.hub.call_soon(socket.create_connection, ("127.0.0.1", free_port()))

        sender.update_strategies()
        Path(os.environ["NOTES"]).touch()
