"""Measure one design once: start it, warm it, hold it while jobs are put into the queue, let it go, count."""

import json
import os
import signal
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, cycle, islice
from pathlib import Path

from django.conf import settings

from botsite import aws
from deploy.local.processes import Child, Children, free_port, listening
from deploy.local.stack import LocalStack
from detection import images

from . import latency, meter, receiver
from .designs import Design, Job, Setting
from .receiver import Calls

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
        measure = self._measure_jobs if design.send else self._measure_bare
        return measure(design, setting, jobs, round_number)

    def idle_receives(self, design: Design, setting: Setting, seconds: float) -> float:
        """Return how often a worker without work calls ReceiveMessage, counted over `seconds`."""
        counted = self._folder / "receives"
        counted.unlink(missing_ok=True)
        with self._running(design, setting, {latency.RECEIVES_VARIABLE: str(counted)}) as (child, calls):
            calls.wait_for(len(self._send(design, WARM_UP)), child)
            before = counted.stat().st_size
            child.ended.wait(seconds)
            return (counted.stat().st_size - before) * 60 / seconds

    def _measure_jobs(self, design: Design, setting: Setting, jobs: int, round_number: int) -> Run:
        warm = self._send(design, WARM_UP)
        started = time.monotonic()
        with self._running(design, setting, {}) as (child, calls):
            pid = child.process.pid
            calls.wait_for(len(warm), child)
            with _held(child):
                sent = self._send(design, jobs)
                before, since = meter.cpu(pid), time.monotonic()
            memory: list[float] = []
            calls.wait_for(len(warm + sent), child, meanwhile=lambda: memory.append(meter.pss_mb(pid)))
            memory.append(meter.pss_mb(pid))
            after, seconds = meter.cpu(child.process.pid), time.monotonic() - since
            called_at = calls.times()
            self._check(design, sent)
            self._wait_for_empty_queue()
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
            child = children.start(design.name, command, self._stack.env)
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
    def _running(self, design: Design, setting: Setting, env: dict[str, str]) -> Iterator[tuple[Child, Calls]]:
        """Run a design, and what it calls back."""
        children = Children(self._folder / "logs")
        port = free_port()
        try:
            command = [sys.executable, "-m", "tests.bench.receiver", "--port", str(port)]
            command += ["--delay-ms", str(setting.callback_ms)]
            site = children.start("receiver", command, self._stack.env)
            site.wait_ready(lambda: listening(receiver.HOST, port))
            address = f"http://{receiver.HOST}:{port}"
            env = self._stack.env | dict(design.env) | env | {"POLYBOT_URL": address}
            env[latency.LATENCY_VARIABLE] = json.dumps(dict(setting.latency_ms))
            with Calls(address) as calls:
                yield children.start(design.name, design.command, env), calls
        finally:
            children.stop()

    def _send(self, design: Design, jobs: int) -> list[str]:
        """Put jobs into the queue; return their predictions' ids."""
        assert design.send is not None
        made = [
            Job(prediction_id=uuid.uuid4().hex, image_key=f"photos/{photo.name}", chat_id=next(self._numbers))
            for photo in islice(cycle(self._photos), jobs)
        ]
        for job in made:
            design.send(job)
        return [job["prediction_id"] for job in made]

    def _check(self, design: Design, sent: list[str]) -> None:
        """Raise if a boxed photo is missing: a callback also comes for a photo that failed."""
        bucket = aws.s3().Bucket(settings.IMAGES_BUCKET)
        missing = {f"results/{name}.jpg" for name in sent} - {it.key for it in bucket.objects.filter(Prefix="results/")}
        if missing:
            raise RuntimeError(f"{design.name} answered {len(sent)} jobs and left {len(missing)} without a result")

    def _wait_for_empty_queue(self) -> None:
        """Wait until the last message is deleted: the next design has the same queue."""
        deadline = time.monotonic() + _SECONDS
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        while True:
            answer = aws.client("sqs").get_queue_attributes(QueueUrl=settings.JOBS_QUEUE_URL, AttributeNames=names)
            if not any(int(answer["Attributes"][name]) for name in names):
                return
            if time.monotonic() > deadline:
                raise RuntimeError(f"messages are left in the queue: {answer['Attributes']}")
            time.sleep(0.1)


@contextmanager
def _held(child: Child) -> Iterator[None]:
    """Stop the clock of a process and its children: what is put into the queue meanwhile waits for all of them."""
    os.killpg(child.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(child.process.pid, signal.SIGCONT)
