"""Measure one design once: start it, warm it, hold it while jobs are put into the queue, let it go, count."""

import json
import os
import signal
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, cycle, islice
from pathlib import Path

from django.conf import settings

from botsite import aws
from deploy.local.processes import Child, Children, free_port, listening
from deploy.local.stack import LocalStack
from detection.record import images
from tests.bench import latency, meter, receiver
from tests.bench.designs import Design, Job, Setting
from tests.bench.receiver import Calls

WARM_UP = 3
_SECONDS = 180


@dataclass(frozen=True, slots=True)
class Run:
    """One measurement. `others_share` is what of all cores processes outside the bench used meanwhile (0-1)."""

    round: int
    setting: str
    design: str
    jobs: int
    jobs_per_s: float
    cpu_ms_per_job: float
    pss_mb: float
    first_job_s: float
    others_share: float


class Bench:
    """A local AWS with the photos in its bucket, on which designs are measured one after the other."""

    def __init__(self, stack: LocalStack, folder: Path, photos: list[Path]) -> None:
        self._stack, self._folder, self._photos = stack, folder, photos
        self._numbers = count(1)
        for photo in photos:
            images.put(f"photos/{photo.name}", photo.read_bytes(), "image/jpeg")

    def measure(self, design: Design, setting: Setting, jobs: int, round_number: int) -> Run:
        """Return what `design` did with `jobs` jobs, or what part of them it is given in `setting`."""
        jobs = max(WARM_UP, round(jobs * design.share[setting.name]))
        measure = self._measure_jobs if design.message else self._measure_bare
        return measure(design, setting, jobs, round_number)

    def idle_receives(self, design: Design, setting: Setting, seconds: float) -> float:
        """Return how often in a minute a worker without work calls ReceiveMessage, counted over `seconds`."""
        counted = self._folder / "receives"
        counted.unlink(missing_ok=True)
        with self._queue() as queue_url:
            warm = self._send(design, queue_url, WARM_UP)
            env = {latency.RECEIVES_VARIABLE: str(counted)}
            with self._running(design, setting, queue_url, env) as (child, calls):
                calls.wait_for(len(warm), child)
                before = counted.stat().st_size
                child.ended.wait(seconds)
                return (counted.stat().st_size - before) * 60 / seconds

    def _measure_jobs(self, design: Design, setting: Setting, jobs: int, round_number: int) -> Run:
        with self._queue() as queue_url:
            warm = self._send(design, queue_url, WARM_UP)
            started = time.monotonic()
            with self._running(design, setting, queue_url) as (child, calls):
                pid = child.process.pid
                calls.wait_for(len(warm), child)
                with _held(child):
                    sent = self._send(design, queue_url, jobs)
                    before, since = meter.cpu(pid), time.monotonic()
                memory: list[float] = []
                calls.wait_for(len(warm + sent), child, meanwhile=lambda: memory.append(meter.pss_mb(pid)))
                memory.append(meter.pss_mb(pid))
                after, seconds = meter.cpu(pid), time.monotonic() - since
                called_at = calls.times()
                self._check(design, sent)
        burst = [called_at[prediction_id] for prediction_id in sent]
        return Run(
            round_number,
            setting.name,
            design.name,
            jobs,
            jobs_per_s=(jobs - 1) / (max(burst) - min(burst)),
            cpu_ms_per_job=(after.tree - before.tree) / jobs * 1000,
            pss_mb=max(memory),
            first_job_s=min(called_at.values()) - started,
            others_share=after.others_share(before, seconds),
        )

    def _measure_bare(self, design: Design, setting: Setting, jobs: int, round_number: int) -> Run:
        children = Children(self._folder / "logs")
        started = time.monotonic()
        command = [*design.command, str(self._photos[0].parent), str(jobs)]
        try:
            child = children.start(design.name, command, self._stack.env | dict(design.env))
            before = meter.cpu(child.process.pid)
            child.wait_ready(lambda: child.said('"jobs_per_s"'), _SECONDS)
            after, seconds = meter.cpu(child.process.pid), time.monotonic() - started
            told = json.loads(next(line for line in child.lines if '"jobs_per_s"' in line))
            pss_mb = meter.pss_mb(child.process.pid)
        finally:
            children.stop()
        return Run(
            round_number,
            setting.name,
            design.name,
            jobs,
            jobs_per_s=told["jobs_per_s"],
            cpu_ms_per_job=told["cpu_ms"],
            pss_mb=pss_mb,
            first_job_s=told["first_at"] - started,
            others_share=after.others_share(before, seconds),
        )

    @contextmanager
    def _running(
        self, design: Design, setting: Setting, queue_url: str, env: Mapping[str, str] | None = None
    ) -> Iterator[tuple[Child, Calls]]:
        """Run a design, and what it calls back."""
        children = Children(self._folder / "logs")
        port = free_port()
        try:
            command = [sys.executable, "-m", "tests.bench.receiver", "--port", str(port)]
            command += ["--delay-ms", str(setting.callback_ms)]
            site = children.start("receiver", command, self._stack.env)
            site.wait_ready(lambda: listening(receiver.HOST, port))
            address = f"http://{receiver.HOST}:{port}"
            own = {"POLYBOT_URL": address, "JOBS_QUEUE_URL": queue_url, **design.env, **(env or {})}
            own[latency.LATENCY_VARIABLE] = json.dumps(dict(setting.latency_ms))
            with Calls(address) as calls:
                child = children.start(design.name, design.command, self._stack.env | own)
                yield child, calls
                child.kill()  # All is measured, and its queue goes with it: no need to let it end its long poll.
        finally:
            children.stop()

    @contextmanager
    def _queue(self) -> Iterator[str]:
        """Make a queue for one measurement: a long poll of a process that has ended would take from the next one's."""
        sqs = aws.client("sqs")
        name, attributes = f"bench-{next(self._numbers)}", {"VisibilityTimeout": "60"}
        url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        yield url
        sqs.delete_queue(QueueUrl=url)

    def _send(self, design: Design, queue_url: str, jobs: int) -> list[str]:
        """Put jobs into the queue; return their predictions' ids."""
        assert design.message is not None
        made = [
            Job(prediction_id=uuid.uuid4().hex, image_key=f"photos/{photo.name}", chat_id=number)
            for number, photo in enumerate(islice(cycle(self._photos), jobs))
        ]
        for job in made:
            design.prepare(job)
            aws.client("sqs").send_message(QueueUrl=queue_url, MessageBody=design.message(job))
        return [job["prediction_id"] for job in made]

    def _check(self, design: Design, sent: list[str]) -> None:
        """Raise if a boxed photo is missing: a callback also comes for a photo that failed."""
        bucket = aws.s3().Bucket(settings.IMAGES_BUCKET)
        missing = {f"results/{name}.jpg" for name in sent} - {it.key for it in bucket.objects.filter(Prefix="results/")}
        if missing:
            raise RuntimeError(f"{design.name} answered {len(sent)} jobs and left {len(missing)} without a result")


@contextmanager
def _held(child: Child) -> Iterator[None]:
    """Stop the clock of a process and its children: what is put into the queue meanwhile waits for all of them."""
    os.killpg(child.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(child.process.pid, signal.SIGCONT)
