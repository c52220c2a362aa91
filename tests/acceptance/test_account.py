"""In an account the run uses a bot and machines of its own; AWS's own answers are stubbed, each from its source."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.conf import settings

from botsite import aws, celery
from deploy import provision
from deploy.acceptance import looks, plan
from deploy.acceptance.account import Account
from deploy.acceptance.photos import Rehearsal
from deploy.acceptance.plan import AcceptanceError, AcceptanceOptions
from deploy.acceptance.report import Measure, StepFailed
from deploy.loadtest import queue
from deploy.provision import Order
from deploy.service import Service
from deploy.webhook import registration
from detection.record import images, predictions
from metrics import cloudwatch
from metrics.health.findings import NotKnownHere
from tests.support import emulators
from tests.support.recorded_aws import Answer, Cloud, taken_for_aws

# docs.aws.amazon.com/systems-manager/latest/APIReference/API_SendCommand.html and API_GetCommandInvocation.html,
# shortened; the output is that of `free -m` (procps) on a machine of 1 GiB with a swap file.
SENT = Answer(json.dumps({"Command": {"CommandId": "b8eac879-0541-439d-94ec-47a80d554f44", "Status": "Pending"}}))
FREE = """               total        used        free      shared  buff/cache   available
Mem:             916         687          72           2         156         105
Swap:           1023          48         975
"""
INVOKED = Answer(json.dumps({"Status": "Success", "StatusDetails": "Success", "StandardOutputContent": FREE}))
REFUSED = Answer('{"__type": "InvalidInstanceId", "Message": "Instances not in a valid state for account"}', 400)
# docs.aws.amazon.com/AWSEC2/latest/APIReference/API_TerminateInstances.html
TERMINATED = Answer(
    '<TerminateInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>1</requestId>'
    "<instancesSet/></TerminateInstancesResponse>"
)
# What a run sets in its own process.
SETTINGS = (
    "PREDICTIONS_TABLE",
    "PREDICTIONS_KEPT_DAYS",
    "JOBS_QUEUE_URL",
    "IMAGES_BUCKET",
    "METRIC_NAMESPACE",
    "TELEGRAM_TOKEN",
    "TELEGRAM_TOKEN_SECRET",
    "TELEGRAM_WEBHOOK_URL",
    "TELEGRAM_WEBHOOK_SECRET",
    "RESULTS_KEY",
    "PREDICTION_ID_KEY",
)


@pytest.fixture(scope="module")
def made(cloud: str) -> None:
    """A service with one worker, made while the emulator is known to be one: nobody bakes images."""
    provision.deploy(Service("acc"))
    aws.client("autoscaling").set_desired_capacity(AutoScalingGroupName="acc-yolo5", DesiredCapacity=1)


@pytest.fixture
def account(cloud: str, made: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """An account with this service, which the code under test takes for AWS itself."""
    monkeypatch.setattr(settings, "ASG_NAME", "acc-yolo5")
    with taken_for_aws(Cloud(cloud, cloud)) as found:
        yield found


def there(**more: object) -> Account:
    """Return the place."""
    return Account(AcceptanceOptions("acc", Path(), **more))  # type: ignore[arg-type]


def context() -> Rehearsal:
    """Return a run in the account."""
    options = AcceptanceOptions("acc", Path())
    return Rehearsal(options, Order(Service("acc")), Account(options), lambda text: None)


@pytest.mark.parametrize("given", [{}, {"token": "1:abc"}, {"chat_ids": (42,)}])
def test_real_bot_needs_token_and_chats(given: dict[str, object]) -> None:
    with pytest.raises(AcceptanceError, match="--no-bot"), there(**given).opened(lambda text: None):
        pass


def test_run_without_bot_needs_neither() -> None:
    with there(bot=False).opened(lambda text: None):
        pass


def test_bot_in_use_is_refused(cloud: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with emulators.telegram() as url:
        monkeypatch.setattr(settings, "TELEGRAM_API_URL", url)
        registration.register("https://bot.example.com/telegram/webhook", emulators.TOKEN, "secret")
        place = there(token=emulators.TOKEN, chat_ids=(42,))
        with pytest.raises(StepFailed, match=r"in use: Telegram sends its updates to https://bot\.example\.com"):
            place.provision(Order(Service("busy")), lambda text: None)
    assert Service("busy").find("network") is None


@pytest.mark.slow
def test_photo_without_bot_is_stored_and_queued(account: Cloud, monkeypatch: pytest.MonkeyPatch, photo: bytes) -> None:
    for name in SETTINGS:
        monkeypatch.setattr(settings, name, getattr(settings, name))
    there(bot=False).adopt(Service("acc"))
    celery.reconfigure()
    [sent] = queue.photos(1)
    asyncio.run(queue.send(photo, sent, asyncio.Event()))
    found = predictions.find(sent.prediction_id)
    assert found
    assert (found.status, bytes(images.get(found.image_key))) == ("queued", photo)
    assert cloudwatch.queue(settings.JOBS_QUEUE_URL).visible == 1
    celery.reconfigure()


@pytest.mark.slow
def test_worker_is_killed_without_shutdown(account: Cloud) -> None:
    account.answers = {"SkipOsShutdown=true": TERMINATED}
    assert there().kill_worker().startswith("i-")


def test_memory_is_asked_of_a_worker(account: Cloud) -> None:
    account.answers = {"SendCommand": SENT, "GetCommandInvocation": INVOKED}
    assert list(looks.memory(context())) == [
        Measure("memory in use", 687.0, "MiB", "of 916 MiB"),
        Measure("swap in use", 48.0, "MiB", "of 1023 MiB"),
    ]


def test_refused_command_is_not_known(account: Cloud) -> None:
    account.answers = {"SendCommand": REFUSED}
    with pytest.raises(NotKnownHere, match="Instances not in a valid state"):
        list(looks.memory(context()))


@pytest.mark.slow
def test_events_are_counted_by_cloudwatch(account: Cloud) -> None:
    run = context()
    with pytest.raises(StepFailed, match="awslogs-format=json/emf"):
        list(looks.events(run))
    dimensions = [{"Name": "LogGroup", "Value": "/acc/yolo5"}]
    point = {"MetricName": "job_succeeded", "Dimensions": dimensions, "Timestamp": datetime.now(UTC), "Value": 3.0}
    aws.client("cloudwatch").put_metric_data(Namespace="ObjectDetection/Events", MetricData=[point])
    run.answered = 3
    assert [one.value for one in looks.events(run)] == [3.0]


def test_estimate_is_about_a_dollar(cloud: str) -> None:
    found = {line.what: line.dollars for line in plan.cost(Order(Service("acc")), 300)}
    assert list(found) == ["what runs all the time", "workers", "bakes", "photos"]
    assert 0.3 < sum(found.values()) < 1.5
    more = {line.what: line.dollars for line in plan.cost(Order(Service("acc"), {"MaxWorkers": "8"}), 300)}
    assert more["workers"] == 2 * found["workers"]
