"""What is sent in a batch shares requests; what SQS does not take is sent again, or raised by name."""

import json
from typing import Any

import pytest
from celery import Celery

from .. import NotSent, batch, batches
from .support.app import make_app
from .support.processes import wait_until
from .support.worker import Aws


@pytest.fixture
def app(aws: Aws) -> Celery:
    return make_app({"jobs": aws.queue(), "other": aws.queue()})


def url_of(app: Celery, queue: str = "jobs") -> str:
    """Return the URL of one of the app's queues."""
    return str(app.conf.broker_transport_options["predefined_queues"][queue]["url"])


def requests_of(app: Celery) -> list[dict[str, Any]]:
    """Return a list that gets the arguments of all requests that the app's clients make from now on."""
    made: list[dict[str, Any]] = []
    with app.pool.acquire(block=True) as connection:
        for queue in ("jobs", "other"):
            client = connection.default_channel.client_of(queue)
            client.meta.events.register(
                "provide-client-params.sqs", lambda params, model, **_: made.append({"by": model.name, **params})
            )
    return made


def received(aws: Aws, url: str) -> list[Any]:
    """Receive and delete what a queue holds."""
    found: list[Any] = []
    while messages := aws.client.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        found += [json.loads(message["Body"]) for message in messages]
        for message in messages:
            aws.client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return found


def test_ten_tasks_share_a_request(aws: Aws, app: Celery) -> None:
    requests = requests_of(app)
    with batch(app):
        results = [app.send_task("note", (str(number),)) for number in range(25)]
        app.send_task("note", ("there",), queue="other", countdown=30)
    assert [(one["by"], len(one["Entries"])) for one in requests] == [("SendMessageBatch", n) for n in (10, 10, 5, 1)]
    assert requests[-1]["Entries"][0]["DelaySeconds"] == 30
    ids = [message["headers"]["id"] for message in received(aws, url_of(app))]
    assert sorted(ids) == sorted(result.id for result in results)
    app.send_task("note", ("alone",))
    assert requests[-1]["by"] == "SendMessage"


def test_request_stays_below_the_limit_of_sqs(aws: Aws, app: Celery) -> None:
    requests = requests_of(app)
    attributes = {"kind": {"DataType": "String", "StringValue": "é" * 1000}}
    with batch(app):
        for _ in range(4):
            app.send_task("note", ("é" * 60_000,), message_attributes=attributes)
    assert [len(one["Entries"]) for one in requests] == [2, 2]
    assert len(received(aws, url_of(app))) == 4


def test_other_apps_send_as_ever(aws: Aws, app: Celery) -> None:
    other = make_app(aws.queue())
    with batch(app):
        other.send_task("note", ("at once",))
        app.send_task("note", ("in the end",))
        assert aws.depth(url_of(other)) == 1
        assert aws.depth(url_of(app)) == 0
    assert aws.depth(url_of(app)) == 1


def test_what_is_sent_before_an_exception_is_sent(aws: Aws, app: Celery) -> None:
    def fail() -> None:
        with batch(app):
            app.send_task("note", ("before",))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert aws.depth(url_of(app)) == 1


def test_batch_needs_the_transport() -> None:
    with pytest.raises(ValueError, match="call `install"), batch(Celery("other", set_as_current=False)):
        pass


def test_what_sqs_will_not_take_is_raised_by_name(aws: Aws, app: Celery) -> None:
    aws.client.delete_queue(QueueUrl=url_of(app, "other"))

    def send() -> None:
        with batch(app):
            app.send_task("note", ("taken",))
            app.send_task("note", ("refused",), queue="other", task_id="lost")

    with pytest.raises(NotSent, match="1 not sent: lost ") as caught:
        send()
    assert list(caught.value.tasks) == ["lost"]
    assert aws.depth(url_of(app)) == 1


class Half:
    """SQS that does not take the second half of a request, for so many times."""

    def __init__(self, client: Any, times: int, sender_fault: bool) -> None:
        self._client, self._times, self._fault = client, times, sender_fault

    def send_message_batch(self, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:
        self._times -= 1
        half = (len(Entries) + 1) // 2 if self._times >= 0 else len(Entries)
        failed = [{"Id": one["Id"], "Code": "Odd", "SenderFault": self._fault} for one in Entries[half:]]
        return {**self._client.send_message_batch(QueueUrl=QueueUrl, Entries=Entries[:half]), "Failed": failed}


@pytest.mark.parametrize(
    ("times", "fault", "lost"), [(2, False, []), (9, False, []), (1, True, ["5", "6", "7", "8", "9"])]
)
def test_partly_failed_request_is_sent_again(
    times: int, fault: bool, lost: list[str], aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "LONGEST_WAIT_SECONDS", 0.01)
    url = aws.queue()
    queued = batches.Queued(Half(aws.client, times, fault), url)
    for number in range(10):
        queued.add(str(number), {"MessageBody": json.dumps(number)})
    queued.send()
    assert queued.refused == dict.fromkeys(lost, "Odd")
    wait_until(lambda: aws.depth(url) == 10 - len(lost))
    assert sorted(received(aws, url)) == [number for number in range(10) if str(number) not in lost]
