"""A Celery worker on an emulated SQS, whose requests can be made to fail; Celery starts this module as the worker."""

import itertools
import json
import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.session
import httpx
import pytest
from celery import Celery
from celery.signals import worker_ready

from botsite import sqs
from botsite.sqs import receiving
from deploy.local import ministack
from tests.support import microburst
from tests.support.processes import free_port, listening, start, wait_until

ROOT = Path(__file__).parents[2]
REGION = "us-east-1"
VISIBILITY_SECONDS = 3
numbers = itertools.count()


def make_app(queue_url: str, **options: Any) -> Celery:
    """Return a Celery app with one queue and one task, set up like the shipped one."""
    # An app next to the shipped one: it is not the current one, shares no task and has nothing to do with Django.
    app = Celery("transport", set_as_current=False, fixups=[])
    ours = {"task_ignore_result": True, "worker_concurrency": 6}
    app.conf.update(sqs.settings(REGION, {"jobs": queue_url}) | ours | options)
    sqs.install(app)

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
            sqs.RECEIVING.failed(ConnectionError("an outage"))
            raise ConnectionError("an outage")
        write_note(text)
        sqs.RECEIVING.worked()

    @app.task(name="work_alone", shared=False)
    def work_alone(until: str) -> None:
        """Wait until nothing else is in work, then for a file; note how many messages are held before and after."""
        with sqs.RECEIVING.stopped():
            # Not even its own, if a lost connection has released that in the meantime.
            wait_until(lambda: sqs.RECEIVING.held() <= 1)
            write_note("alone")
            wait_until(Path(until).exists)
            write_note(f"still {sqs.RECEIVING.held()}")

    return app


def write_note(text: str) -> None:
    """Append this process's id and a text to the file that the test reads."""
    with Path(os.environ["NOTES"]).open("a") as notes:
        notes.write(f"{os.getpid()} {text}\n")


if "WORKER_QUEUE_URL" in os.environ:  # The test starts this file as a worker: `celery -A tests.support.sqs_worker`.
    logging.basicConfig()
    logging.getLogger("botsite").setLevel(logging.INFO)
    app = make_app(os.environ["WORKER_QUEUE_URL"], **json.loads(os.environ["WORKER_OPTIONS"]))
    receiving.FIRST_PAUSE_SECONDS = float(os.environ["FIRST_PAUSE_SECONDS"])
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


@dataclass(frozen=True)
class Aws:
    """An emulated SQS, and in front of it a proxy that makes its requests fail."""

    client: Any
    url: str
    proxy: str
    start_proxy: Callable[[], AbstractContextManager[None]]

    def queue(self, **attributes: str) -> str:
        """Return the URL of a new queue."""
        attributes = {"VisibilityTimeout": str(VISIBILITY_SECONDS), **attributes}
        name = f"queue-{next(numbers)}"
        url: str = self.client.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        return url

    def dead_letters_of(self, queue_url: str) -> str:
        """Return the URL of a new queue for messages of `queue_url` that have been received once."""
        dead_letters = self.queue()
        arn = self.client.get_queue_attributes(QueueUrl=dead_letters, AttributeNames=["QueueArn"])
        redrive = {"deadLetterTargetArn": arn["Attributes"]["QueueArn"], "maxReceiveCount": 1}
        attributes = {"RedrivePolicy": json.dumps(redrive)}
        self.client.set_queue_attributes(QueueUrl=queue_url, Attributes=attributes)
        return dead_letters

    def fail(self, operation: str, **fault: Any) -> None:
        """Make an operation fail from now on."""
        self._control("POST", "rules", [{"service": "sqs", "operation": operation, **fault}])

    def heal(self) -> None:
        """Make everything succeed from now on."""
        self._control("POST", "rules", [])
        self._control("DELETE", "fired")

    def failures(self) -> int:
        """Return how many requests have failed since all was healed."""
        return len(self._control("GET", "fired"))

    def depth(self, queue_url: str, *names: str) -> int:
        """Return how many messages a queue holds, visible or not, or only the ones counted by `names`."""
        names = names or ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        attributes = self.client.get_queue_attributes(QueueUrl=queue_url, AttributeNames=names)["Attributes"]
        return sum(int(attributes[name]) for name in names)

    def _control(self, method: str, path: str, body: Any = None) -> Any:
        address = f"{self.proxy}/_microburst/{path}"
        return httpx.request(method, address, json=body).raise_for_status().json()


@contextmanager
def running_aws(folder: Path) -> Iterator[Aws]:
    """Run the emulator, and point this process's clients at it."""
    port, proxy_port = free_port(), free_port()
    url = f"http://127.0.0.1:{port}"

    @contextmanager
    def start_proxy() -> Iterator[None]:
        command = microburst.command(folder, url, proxy_port)
        with start(command, output=folder / "proxy.log") as process:
            wait_until(lambda: listening(proxy_port))
            yield
            process.kill()  # Ended gently, it would wait for the long poll in flight.

    with ExitStack() as stack:
        stack.enter_context(start(ministack.COMMAND, ministack.environment(port), folder / "aws.log"))
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("AWS_ENDPOINT_URL", url)
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        client = botocore.session.get_session().create_client("sqs", region_name=REGION)
        wait_until(lambda: listening(port))
        yield Aws(client, url, microburst.address(proxy_port), start_proxy)
        client.close()


def set_visibility(aws: Aws, worker: "Worker", seconds: int) -> None:
    """Set how long messages are hidden once received."""
    attributes = {"VisibilityTimeout": str(seconds)}
    aws.client.set_queue_attributes(QueueUrl=worker.queue_url, Attributes=attributes)


def program(name: str, *arguments: str) -> list[str]:
    """Return the command that runs a program of this environment."""
    return [str(Path(sys.executable).with_name(name)), *arguments]


@dataclass(frozen=True)
class Worker:
    """A Celery worker process and what it wrote."""

    process: Any
    app: Celery
    queue_url: str
    notes: Path
    output: Path

    def send(self, text: str, until: Path | None = None) -> None:
        """Queue one job, which lasts until a file exists and 3 s more."""
        self.app.send_task("note", (text, str(until or "")))

    def runs(self, text: str) -> int:
        """Return how often this process has run a job."""
        return self.notes.read_text().splitlines().count(f"{self.process.pid} {text}")

    def works(self) -> bool:
        """Return whether the process runs a job that is queued now."""
        text = f"job-{next(numbers)}"
        self.send(text)
        return wait_until(lambda: self.runs(text)) == 1


@contextmanager
def running_worker(
    aws: Aws, folder: Path, endpoint: str, first_pause_seconds: float = 1, **options: Any
) -> Iterator[Worker]:
    """Start a worker with a queue of its own; `endpoint` is the address of the emulator or of the proxy."""
    notes, output, queue_url = folder / "notes", folder / "output", aws.queue()
    env = {
        "AWS_ENDPOINT_URL": endpoint,
        "PYTHONPATH": str(ROOT),
        "WORKER_QUEUE_URL": queue_url,
        "WORKER_OPTIONS": json.dumps(options),
        "NOTES": str(notes),
        "FIRST_PAUSE_SECONDS": str(first_pause_seconds),
    }
    with start(program("celery", "-A", "tests.support.sqs_worker", "worker"), env, output) as process:
        wait_until(lambda: notes.exists() or process.poll() is not None)
        assert notes.exists(), output.read_text()
        yield Worker(process, make_app(queue_url), queue_url, notes, output)


def job(text: str) -> dict[str, Any]:
    """Return the smallest message that another program could send, without an exchange."""
    return {
        "body": json.dumps([[text], {}, {}]),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"task": "note", "id": text},
        "properties": {"delivery_info": {"routing_key": "jobs"}},
    }
