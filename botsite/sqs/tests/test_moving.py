"""An app that is configured for kombu's own transport moves here, and back, without a message lost."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from boto3.session import Session
from botocore.config import Config
from celery import Celery
from kombu.transport import SQS

from .. import Transport, install, moving
from ..transport import Channel
from .support.app import REGION
from .support.processes import wait_until
from .support.worker import Aws, running_worker


def kombus(queues: dict[str, Any], **options: Any) -> Celery:
    """Return an app as kombu's documentation configures it."""
    app = Celery("moving", set_as_current=False, fixups=[], broker="sqs://")
    app.conf.broker_transport_options = {"region": REGION, "predefined_queues": queues, **options}
    app.conf.task_default_queue = next(iter(queues), "celery")
    return app


def test_install_is_all_it_takes(aws: Aws) -> None:
    app = kombus({"jobs": {"url": aws.queue()}})
    install(app)
    with app.connection_for_write() as connection:
        assert isinstance(connection.transport, Transport)
    assert (app.conf.worker_pool, app.conf.task_acks_late) == ("threads", True)
    assert app.conf.task_default_queue == "jobs"


@pytest.mark.parametrize("configure", [lambda app: app.conf.update(task_acks_late=False, worker_concurrency=3)])
@pytest.mark.parametrize("first", [True, False])
def test_what_the_app_sets_itself_stays(first: bool, configure: Callable[[Celery], None]) -> None:
    app = kombus({})
    for step in (configure, install) if first else (install, configure):
        step(app)
    assert (app.conf.task_acks_late, app.conf.worker_concurrency) == (False, 3)


def test_configuration_from_an_object_stays() -> None:
    app = Celery("moving", set_as_current=False, fixups=[])
    app.config_from_object(SimpleNamespace(CELERY_TASK_ACKS_LATE=False), namespace="CELERY")
    install(app)
    assert (app.conf.task_acks_late, app.conf.worker_pool) == (False, "threads")


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({"polling_interval": 0.1}, "remove it"),
        ({"supports_fanout": True}, "keep kombu's"),
        ({"predefined_exchanges": {"x": {}}}, "keep kombu's"),
        ({"port": 80}, "endpoint_url"),
        ({"regioninfo": "x"}, "remove it"),
        ({"wait_time_seconds": 0}, "take 1 to 20"),
        ({"wait_time_seconds": 21}, "take 1 to 20"),
    ],
)
def test_option_that_does_not_apply_is_refused(options: dict[str, Any], advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        moving.refuse(options)


def channel_of(app: Celery) -> Any:
    install(app)
    return app.connection_for_write().default_channel


def role_of(client: Any) -> str:
    """Return the name of the role whose credentials a client has."""
    keys = client._request_signer._credentials.get_frozen_credentials()
    session = Session(keys.access_key, keys.secret_key, keys.token, region_name=REGION)
    return str(session.client("sts").get_caller_identity()["Arn"].split("/")[-2])


def test_options_of_kombu_apply(aws: Aws) -> None:
    url = aws.queue()
    queues = {"jobs": {"url": url, "region": "eu-west-1", "access_key_id": "own", "secret_access_key": "own"}}
    options = {
        "client-config": {"connect_timeout": 7},
        "endpoint_url": aws.url,
        "is_secure": False,
        "wait_time_seconds": 3,
        "visibility_timeout": 77,
        "fetch_message_attributes": ["SentTimestamp"],
    }
    channel = channel_of(kombus(queues, **options))
    client = channel.client_of("jobs")
    assert (client.meta.region_name, client.meta.config.connect_timeout) == ("eu-west-1", 7)
    assert client._request_signer._credentials.access_key == "own"
    assert (channel.wait_time_seconds, channel.visibility_timeout) == (3, 77)
    assert "SentTimestamp" in channel.get_message_attributes["MessageSystemAttributeNames"]
    assert client.meta.endpoint_url == aws.url


def test_queue_is_found_by_its_prefix(aws: Aws) -> None:
    name = aws.queue().rpartition("/")[2]
    app = kombus({}, queue_name_prefix=name[:3])
    assert channel_of(app)._new_queue(name[3:]).endswith(f"/{name}")


def test_backoff_policy_decides_for_its_tasks(aws: Aws) -> None:
    policy = {"backoff_policy": {1: 11, 2: 22}, "backoff_tasks": ["mine"]}
    channel: Channel = channel_of(kombus({"jobs": {"url": "https://q", **policy}}))

    def seconds(task: str, receives: int) -> int:
        sent = {"Attributes": {"ApproximateReceiveCount": str(receives)}}
        info = {"sqs_message": sent, "sqs_queue": "https://q"}
        return channel._retry_seconds(SimpleNamespace(headers={"task": task}, delivery_info=info))

    assert [seconds("mine", 1), seconds("mine", 2), seconds("mine", 3)] == [11, 22, 20]
    assert seconds("other", 1) == 5


def test_role_is_assumed_and_renews_itself(aws: Aws) -> None:
    role = "arn:aws:iam::000000000000:role/worker"
    channel = channel_of(kombus({"jobs": {"url": aws.queue()}}, sts_role_arn=role))
    credentials = channel.client_of("jobs")._request_signer._credentials
    first = credentials.get_frozen_credentials()
    credentials._expiry_time = credentials._time_fetcher()
    assert first.token
    assert credentials.get_frozen_credentials().access_key != first.access_key


def test_queue_may_have_role_and_region_of_its_own(aws: Aws) -> None:
    role = "arn:aws:iam::000000000000:role/"
    bulk = {"url": aws.queue(), "region": "eu-west-1", "sts_role_arn": f"{role}bulk"}
    keys = {"url": aws.queue(), "access_key_id": "own", "secret_access_key": "own"}
    channel = channel_of(kombus({"bulk": bulk, "jobs": keys}))
    # The second is how receivers and heartbeats get theirs.
    for client in (channel.client_of("bulk"), channel.new_client_of("bulk", Config(read_timeout=7))):
        assert (client.meta.region_name, role_of(client)) == ("eu-west-1", "bulk")
    assert channel.client_of("jobs")._request_signer._credentials.access_key == "own"


def test_role_of_queue_comes_before_role_of_all(aws: Aws) -> None:
    role = "arn:aws:iam::000000000000:role/"
    queues = {"bulk": {"url": aws.queue(), "sts_role_arn": f"{role}bulk"}, "jobs": {"url": aws.queue()}}
    channel = channel_of(kombus(queues, sts_role_arn=f"{role}worker"))
    assert [role_of(channel.client_of(queue)) for queue in queues] == ["bulk", "worker"]


@pytest.mark.slow
def test_waiting_messages_of_kombu_are_worked_on_and_the_other_way_round(aws: Aws, tmp_path: Path) -> None:
    with running_worker(aws, tmp_path, aws.url) as worker:
        app = kombus({"jobs": {"url": worker.queue_url}})
        app.send_task("note", ("from kombu",))
        app.send_task("note", ("later",), countdown=2)
        wait_until(lambda: worker.runs("from kombu") and worker.runs("later"))
        worker.process.kill()
        worker.process.wait()
    # And back: kombu reads what this transport sends, in both of its forms.
    url = aws.queue()
    for encoded in (True, False):
        ours = kombus({"jobs": {"url": url}}, sqs_base64_encoding=encoded)
        install(ours)
        ours.send_task("note", ("from here",))
    back = kombus({"jobs": {"url": url}})
    with back.connection_for_read() as connection:
        channel = connection.default_channel
        assert type(channel) is SQS.Channel
        assert [channel._get("jobs")["headers"]["task"] for _ in range(2)] == ["note", "note"]
