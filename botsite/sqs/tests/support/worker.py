"""A Celery worker on an emulated SQS, whose requests can be made to fail."""

import itertools
import json
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from celery import Celery

from .app import REGION, make_app
from .processes import free_port, listening, start, wait_until

# Where the package is found, whatever its name.
ROOT = Path(__file__).parents[__name__.count(".")]
VISIBILITY_SECONDS = 3
numbers = itertools.count()


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
        name = f"queue-{next(numbers)}" + (".fifo" if "FifoQueue" in attributes else "")
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
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.proxy}/_microburst/{path}", data, headers, method=method)  # noqa: S310
        with urllib.request.urlopen(request) as reply:  # noqa: S310 - it is ours
            return json.load(reply)

    def new_client(self, service: str = "sqs", config: Config | None = None) -> Any:
        """Return another client of the emulated AWS."""
        return _client(service, config)


def _client(service: str = "sqs", config: Config | None = None) -> Any:
    return botocore.session.get_session().create_client(service, region_name=REGION, config=config)


@contextmanager
def running_emulator() -> Iterator[str]:
    """Run ministack for the length of a `with` block; yield its address."""
    port = free_port()
    env = {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "SFTP_ENABLED": "0", "IOT_MTLS_ENABLED": "0"}
    with start([sys.executable, "-m", "ministack.app"], env):
        wait_until(lambda: listening(port))
        yield f"http://127.0.0.1:{port}"


@contextmanager
def taken_for_aws(url: str, folder: Path) -> Iterator[Aws]:
    """Have this process's clients and its children use an emulated AWS, and be ready to start a proxy before it."""
    proxy_port = free_port()
    config = folder / "microburst.yml"
    # JSON is YAML too.
    config.write_text(json.dumps({"upstream": url, "port": proxy_port, "rules": []}))

    @contextmanager
    def start_proxy() -> Iterator[None]:
        with start(program("microburst", "--config", str(config)), output=folder / "proxy.log") as process:
            wait_until(lambda: listening(proxy_port))
            yield
            process.kill()  # Ended gently, it would wait for the long poll in flight.

    names = {"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in names.items():
            patch.setenv(name, value)
        client = _client()
        # By name: in a host with dots, microburst looks for a service, and reads the models of all for 3 s.
        yield Aws(client, url, f"http://localhost:{proxy_port}", start_proxy)
        client.close()


def set_visibility(aws: Aws, worker: "Worker", seconds: int) -> None:
    """Set how long messages are hidden once received."""
    attributes = {"VisibilityTimeout": str(seconds)}
    aws.client.set_queue_attributes(QueueUrl=worker.queue_url, Attributes=attributes)


def program(name: str, *arguments: str) -> list[str]:
    """Return the command that runs a package of this environment."""
    return [sys.executable, "-m", name, *arguments]


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
    aws: Aws,
    folder: Path,
    endpoint: str,
    sqs: Mapping[str, Any] | None = None,
    queues: str | Mapping[str, str] | None = None,
    **options: Any,
) -> Iterator[Worker]:
    """Start a worker with a queue of its own, or with these; `endpoint` is the address of the emulator or of the proxy.

    `sqs` are the fields of its `Options`.
    """
    notes, output, queues = folder / "notes", folder / "output", queues or aws.queue()
    queue_url = queues if isinstance(queues, str) else next(iter(queues.values()))
    told = {"queues": queues, "sqs": {"first_pause_seconds": 1, **(sqs or {})}, "options": options}
    env = {
        "AWS_ENDPOINT_URL": endpoint,
        "PYTHONPATH": str(ROOT),
        "WORKER": json.dumps(told),
        "NOTES": str(notes),
    }
    with start(program("celery", "-A", make_app.__module__, "worker"), env, output) as process:
        wait_until(lambda: notes.exists() or process.poll() is not None)
        assert notes.exists(), output.read_text()
        yield Worker(process, make_app(queues), queue_url, notes, output)


def job(text: str) -> dict[str, Any]:
    """Return the smallest message that another program could send, without an exchange."""
    return {
        "body": json.dumps([[text], {}, {}]),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"task": "note", "id": text},
        "properties": {"delivery_info": {"routing_key": "jobs"}},
    }
