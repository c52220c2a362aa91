"""Do once all that a role does with AWS, by the code that does it: `python -m tests.support.workloads ROLE`.

It runs as the role: environment and credentials are those of one of its machines. For each line on its input it
does the work in a process of its own, so that nothing is remembered, and prints a line: empty, or what went wrong.
Code that lives on through errors logs them, so a warning counts as one.
"""

import logging
import os
import queue
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import django
import httpx
import structlog
from django.conf import settings

from botsite import aws, celery, health, pause, rate_limit, secret_store
from botsite.bot.incoming import limits
from botsite.bot.telegram import client
from botsite.sqs.heartbeat import Heartbeat
from botsite.sqs.options import Options
from botsite.sqs.priorities import Turns
from botsite.sqs.threads import Receiver, Settler
from botsite.staff.jobs import query, rows
from botsite.staff.jobs.filters import Filters, JobState
from deploy.local.processes import wait_until
from detection.record import deletions, deliveries, images, known_classes, predictions, reasons
from detection.record.schemas import Delivery, Detection, Prediction
from detection.work import dead_letters, erasure, jobs, operations, reports, sweep, termination
from metrics import service, tasks, wait
from metrics.health import events, photos, waiting

# Warnings about the work itself, which is as it should be here.
_EXPECTED = {"swept", "job_given_up", "machine_leaving"}
_logged: list[Any] = []
CHAT_ID = 7
DETECTION = Detection("cat", 0.9, 0.5, 0.5, 0.2, 0.2)


# ------------------------------------------------------------------------------------------- all roles


class _Noting(logging.Handler):
    """Note what is logged through `logging` in the same form as structlog's events."""

    def emit(self, record: logging.LogRecord) -> None:
        """Note an event."""
        _logged.append({"event": record.getMessage(), "log_level": record.levelname.lower(), **vars(record)})


def read_secrets() -> None:
    """Read the secrets that the role's settings are in, as each of its processes does first."""
    secret_store.read(settings.SERVICE_SECRETS, settings.AWS_REGION, settings.AWS_ENDPOINT_URL)


def log_to_cloudwatch() -> None:
    """Write a log line as the container's log driver does."""
    where = {"logGroupName": os.environ["LOG_GROUP"], "logStreamName": uuid4().hex}
    aws.client("logs").create_log_stream(**where)
    line = {"timestamp": int(time.time() * 1000), "message": "{}"}
    aws.client("logs").put_log_events(**where, logEvents=[line])


def consume(name: str, url: str) -> None:
    """Receive a message, keep it hidden, give it back, receive it again and delete it."""
    with _received(name, url) as handle:
        Heartbeat({url: aws.client("sqs")}, lambda: {url: [handle]}, Options()).beat()
        settler = Settler(aws.client("sqs"), url, Options(), lambda _: None)
        settler.release(handle)
    with _received(name, url) as handle:
        settler.delete(handle)
        flush = threading.Thread(target=settler.flush, daemon=True)
        flush.start()
        _wait_until(lambda: not flush.is_alive())


@contextmanager
def _received(name: str, url: str) -> Iterator[str]:
    """Yield the receipt handle of a message."""
    arrived: queue.SimpleQueue[str] = queue.SimpleQueue()

    def take(_: str, messages: list[dict[str, str]], stopped: threading.Event) -> None:
        stopped.set()
        arrived.put(messages[0]["ReceiptHandle"])

    # No long poll: one that outlasts this process takes the message of the next.
    request = {"QueueUrl": url, "WaitTimeSeconds": 0}
    receiver = Receiver(
        name, aws.client("sqs").receive_message, request, lambda *_: 1, take, Turns(Options()), Options()
    )
    try:
        _wait_until(lambda: not arrived.empty())
        yield arrived.get()
    finally:
        receiver.stopped.set()


def _wait_until(done: Callable[[], bool]) -> None:
    """Wait for a thread's work; raise TimeoutError if it takes too long or something goes wrong."""
    wait_until(lambda: done() or _bad())
    if _bad():
        raise TimeoutError(f"not done, but logged: {_logged}")


def _bad() -> list[Any]:
    """Return the warnings and errors logged so far that the work should not have caused."""
    return [one for one in _logged if one["log_level"] in ("warning", "error") and one["event"] not in _EXPECTED]


# --------------------------------------------------------------------------------------------- polybot


def check_readiness() -> None:
    """Look whether queue, table and bucket can be reached."""
    for check in health._CHECKS.values():
        check()


def take_photo() -> None:
    """Do what a webhook does, from the token to the job."""
    client.token()
    identity = uuid4().hex
    # A chat that has had no answer yet: Telegram's limit for one is no matter of permissions.
    rate_limit.reserve(rate_limit.chat(uuid4().int >> 80))
    jobs.find(identity)
    jobs.submit(Prediction(identity, CHAT_ID, 1, f"photos/{identity}"), b"photo")
    settings.PHOTOS_PER_DAY = 5
    limits.take(uuid4().int >> 80, identity)
    limits.refused_lately()
    pause.current()
    pause.first_of_chat(CHAT_ID, pause.Pause("somebody", datetime.now(UTC)))


def deliver_result() -> None:
    """Do what `/results` does, and what follows if the chat is closed to the bot."""
    identity = uuid4().hex
    predictions.create(Prediction(identity, CHAT_ID, 1, f"photos/{identity}"))
    predictions.fail(identity, reasons.of("a sentence"))
    leased = deliveries.claim(identity).prediction
    images.get("results/seeded.jpg")
    assert leased
    deliveries.finish(leased, Delivery.DELIVERED)
    deliveries.close_chat(CHAT_ID)
    deliveries.migrate_chat(CHAT_ID, -CHAT_ID)


def delete_everything() -> None:
    """Do what /delete_my_data does for somebody with a photo."""
    person = deletions.Person(uuid4().int >> 80, 1)
    identity = uuid4().hex
    jobs.submit(Prediction(identity, person.chat_id, 1, f"photos/{identity}"), b"photo")
    assert deletions.begin(person, 1)
    taken = deletions.claim(person.key)
    assert taken
    # The emulator's short poll finds everything.
    dead_letters.WAIT_SECONDS = 0
    list(erasure.delete_all(replace(taken, again=True)))
    assert not images.exists(f"photos/{identity}")
    deletions.note_told(taken)
    rate_limit.forget_chat(person.chat_id)
    deletions.finish(taken)


def administer() -> None:
    """Do what an operator does in the admin: list jobs each way, look at a photo and its result, delete a job."""
    for filters in (
        Filters(),
        Filters(chat=CHAT_ID),
        Filters(status=JobState.FAILED),
        Filters(delivery=Delivery.PENDING),
    ):
        rows.lines(query.page(filters).rows)
    identity = uuid4().hex
    prediction = Prediction(identity, CHAT_ID, 1, f"photos/{identity}")
    jobs.submit(prediction, b"photo")
    for key in (prediction.image_key, "results/seeded.jpg"):
        httpx.get(
            images.link(key), verify=ssl.create_default_context(cafile=os.environ["AWS_CA_BUNDLE"])
        ).raise_for_status()
    assert images.exists(prediction.image_key)
    assert images.head(prediction.image_key, 3) == b"pho"
    operations.delete(identity)


def look_at_service() -> None:
    """Do what the dashboard does: read every source, look at the dead letters, and replay one."""
    reports.read(one.id for group in service.fleet().values() for one in group.instances)
    service.tracked()
    service.history(3600, 60)
    service.alarms()
    service.scheduled()
    events.of_machines(service.group_names(), datetime.now(UTC))
    wait.expected()
    photos.read_photos()
    waiting.read_waits()
    assert dead_letters.count() == 1
    # As `look` and `chosen` read, but without their long poll, which takes seconds for each permission under test.
    assert len(list(dead_letters.read(wait_seconds=0))) == 1
    with closing(dead_letters.read(wait_seconds=0)) as letters:
        for letter in letters:
            dead_letters.replay(letter)


# ----------------------------------------------------------------------------------------------- yolo5


def work() -> None:
    """Claim a prediction, fetch its photo, store what became of it; then find that a second job has nothing to do."""
    pause.current()
    identity = "seeded"
    claimed = predictions.claim(identity, uuid4().hex).prediction
    assert claimed is not None
    images.get(claimed.image_key)
    images.put(claimed.result_key, b"boxed", "image/jpeg")
    predictions.succeed(claimed, [DETECTION], "model", 1)
    images.delete("results/deleted.jpg")
    known_classes.store("model", ["cat"])
    assert not predictions.claim(identity, uuid4().hex).granted
    # As for a photo that others have crowded out for long.
    dead_letters.receives_at_most()
    jobs.send(claimed)


def notice_gone() -> None:
    """Be told that a photo is gone.

    S3 tells only those who may list the bucket, to others it is "access denied"; the emulator tells everybody. So
    have it look at that permission.
    """
    try:
        images.get("photos/gone")
    except images.ImageGone:
        aws.s3().meta.client.head_bucket(Bucket=settings.IMAGES_BUCKET)


def leave() -> None:
    """Learn that the machine has to go, and let the group know that it may."""
    farewell = termination.Farewell(leave=lambda: None)
    assert farewell.reason()
    farewell.complete()


# ------------------------------------------------------------------------------------------------- bake


def fetch_and_report() -> None:
    """Fetch the source and say how far it is, as deploy/docker/bake.sh does by `aws s3 cp`."""
    where = {"Bucket": settings.IMAGES_BUCKET, "Key": "bakes/1/phase"}
    aws.client("s3").put_object(**where, Body=b"booting")
    aws.client("s3").get_object(**where)


def pull() -> None:
    """Log in to the registry and pull, as docker does; there is no such image, but only who may pull is told so."""
    ecr = aws.client("ecr")
    ecr.get_authorization_token()
    with suppress(ecr.exceptions.RepositoryNotFoundException):
        ecr.batch_get_image(repositoryName="none", imageIds=[{"imageTag": "v1"}])
    with suppress(ecr.exceptions.RepositoryNotFoundException):
        ecr.get_download_url_for_layer(repositoryName="none", layerDigest="sha256:" + "0" * 64)


def be_healthy() -> None:
    """Do what a container does that is proved healthy: send ticks, and consume what comes."""
    # Two, because one that comes back is a dead letter at once.
    for _ in range(2):
        celery.app.send_task("upkeep.sweep", queue="metrics", expires=30)
    consume("bake", settings.METRICS_QUEUE_URL)


# --------------------------------------------------------------------------------------- metricStreamer


def repair() -> None:
    """Sweep and bury: there is one of each kind of trouble."""
    # The emulator's short poll finds everything.
    dead_letters.BURIAL_WAIT_SECONDS = 0
    sweep.sweep()
    sweep.bury()


def tick() -> None:
    """Send a tick as beat does, and consume it."""
    celery.app.send_task("upkeep.sweep", queue="metrics", expires=30)
    consume("metrics", settings.METRICS_QUEUE_URL)


ALWAYS: list[Callable[[], None]] = [read_secrets, log_to_cloudwatch]
ROLES: Mapping[str, list[Callable[[], None]]] = {
    "polybot": [*ALWAYS, check_readiness, take_photo, deliver_result, delete_everything, administer, look_at_service],
    "yolo5": [*ALWAYS, lambda: consume("jobs", settings.JOBS_QUEUE_URL), work, notice_gone, leave],
    "metrics": [*ALWAYS, repair, tick, tasks.publish],
    "bake": [fetch_and_report, pull, be_healthy],
}


def trouble(role: str) -> str:
    """Do the role's work; return what went wrong first, empty if nothing did."""
    logging.getLogger("botsite.sqs").addHandler(_Noting())
    with structlog.testing.capture_logs() as logged:
        global _logged
        _logged = logged
        try:
            for step in ROLES[role]:
                step()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
            return f"{type(error).__name__}: {error}"
        return str(_bad()[0]) if _bad() else ""


def main(role: str) -> None:
    """Answer each line of the input."""
    # Clients cost a tenth of a second each; none of them has a connection yet.
    for name in ("sqs", "secretsmanager", "logs", "autoscaling", "cloudwatch"):
        aws.client(name)
    aws.dynamodb()
    aws.s3()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for _ in sys.stdin:
        if os.fork() == 0:
            sys.stdout.write(trouble(role).replace("\n", " ") + "\n")
            sys.stdout.flush()
            os._exit(0)
        os.wait()


if __name__ == "__main__":
    django.setup()
    main(sys.argv[1])
