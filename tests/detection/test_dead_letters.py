"""Dead letters: their senders are told once, and operators list, replay and delete those they mean."""

import json
from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from botsite import aws
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import TelegramUser
from detection.record import deliveries, images, predictions, reasons, times
from detection.record.schemas import Delivery, Prediction, Status
from detection.record.sentences import Code
from detection.work import dead_letters, sweep
from tests.support import letters, terminals, turn
from tests.support.cases import slow_after
from tests.support.processes import wait_until

# More than one look, or one page, takes.
MANY = 505


@pytest.fixture
def prediction(user: TelegramUser, photo: bytes) -> Prediction:
    """Return a queued prediction whose photo is stored."""
    identity = uuid4().hex
    prediction = Prediction(identity, user.chat_id, user.send_text("hello"), f"photos/{identity}")
    images.put(prediction.image_key, photo, "image/jpeg")
    predictions.create(prediction)
    return prediction


@pytest.fixture
def dead(prediction: Prediction) -> Iterator[Prediction]:
    """Return a prediction whose job is the only dead letter."""
    letters.clear()
    letters.bury(prediction)
    yield prediction
    letters.clear()


@pytest.fixture
def undisturbed(stack: LocalStack) -> Iterator[None]:
    """Keep the service's own burial from the letters."""
    with turn.held("bury", "sweep"):
        letters.clear()
        yield
        letters.clear()


@pytest.fixture
def made_queue(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A jobs queue that no worker reads."""
    url = aws.client("sqs").create_queue(QueueName=f"unread-{uuid4().hex[:8]}")["QueueUrl"]
    monkeypatch.setattr(settings, "JOBS_QUEUE_URL", url)
    yield url
    aws.client("sqs").delete_queue(QueueUrl=url)


def bury() -> None:
    """Bury; the service's own metric worker may have its turn just now."""
    wait_until(sweep.bury)


def reaches(prediction: Prediction, status: Status) -> Prediction:
    """Wait until the prediction is answered with this status."""

    def there() -> Prediction | None:
        found = predictions.find(prediction.prediction_id)
        return found if found and (found.status, found.delivery) == (status, Delivery.DELIVERED) else None

    found = wait_until(there)
    assert found is not None
    return found


def status(prediction: Prediction) -> Status | None:
    found = predictions.find(prediction.prediction_id)
    return found.status if found else None


def left() -> list[str]:
    """Return the ids of the letters in the queue."""
    return sorted(letter.message_id for letter in dead_letters.look())


def test_sender_of_dead_letter_is_told_once(dead: Prediction, user: TelegramUser) -> None:
    bury()
    bury()
    assert reaches(dead, Status.FAILED).error == Code.GIVEN_UP.value
    assert [message.text for message in user.messages()].count(Code.GIVEN_UP.value) == 1


@pytest.mark.slow
def test_letter_behind_hundreds_of_odd_ones_is_buried(dead: Prediction) -> None:
    letters.clear()
    odd = ["[" * 100_000, "5", "null", json.dumps({"headers": None, "body": 1}), "9" * 5000]
    names = [["x"], "", "x" * 5000, "\ud800", "\x1b[2J"]
    odd += [letters.body({"prediction_id": name}) for name in names]
    letters.put_many(odd + ["not a job"] * MANY)
    letters.bury(dead)
    wait_until(lambda: sweep.bury() and status(dead) is Status.FAILED)
    assert dead_letters.count() == len(odd) + MANY + 1


@pytest.mark.parametrize("again", ["enqueued", "reopened"])
def test_letter_of_job_retried_since_fails_nothing(dead: Prediction, again: str) -> None:
    aws.dynamodb().update_item(
        TableName=settings.PREDICTIONS_TABLE,
        Key={"prediction_id": dead.prediction_id},
        UpdateExpression=f"SET {again}_at = :at",
        ExpressionAttributeValues={":at": times.text(times.now(2 * sweep.RECORDED))},
    )
    bury()
    assert status(dead) is Status.QUEUED
    predictions.delete(dead.prediction_id)


def test_letter_of_incomplete_item_holds_nothing_up(dead: Prediction) -> None:
    half = uuid4().hex
    aws.dynamodb().put_item(TableName=settings.PREDICTIONS_TABLE, Item={"prediction_id": half, "status": "queued"})
    letters.clear()
    letters.put(letters.body({"prediction_id": half}))
    letters.bury(dead)
    wait_until(lambda: sweep.bury() and status(dead) is Status.FAILED)
    predictions.delete(half)


def test_replayed_letter_is_answered_again(undisturbed: None, prediction: Prediction, user: TelegramUser) -> None:
    predictions.fail(prediction.prediction_id, reasons.of("sorry"))
    letters.put_many(["not a job"] * MANY)
    letter = letters.bury(prediction)
    call_command("dlq", "replay", "--id", letter, "--yes")
    assert reaches(prediction, Status.SUCCEEDED).enqueued_at
    assert dead_letters.count() == MANY


@pytest.mark.slow
def test_replay_waits_for_apology(
    undisturbed: None, prediction: Prediction, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    predictions.fail(prediction.prediction_id, reasons.of("sorry"))
    letters.bury(prediction)
    monkeypatch.setattr(deliveries, "LEASE", timedelta(seconds=10))
    deliveries.claim(prediction.prediction_id)
    call_command("dlq", "replay", "--yes")
    assert "\nWaiting for 1 dead letter: the apology is being sent right now" in capsys.readouterr().out
    reaches(prediction, Status.SUCCEEDED)


def test_replay_plans_asks_and_leaves_out_what_answers_nobody(
    undisturbed: None, prediction: Prediction, capsys: pytest.CaptureFixture[str]
) -> None:
    odd, lost = letters.put("not a job"), letters.put(letters.body({"prediction_id": uuid4().hex}))
    good = letters.bury(prediction)
    call_command("dlq", "replay", "--plan")
    assert capsys.readouterr().out == (
        "To replay: 1 dead letter: 1 of detection.detect\n"
        "Left alone, as nobody could be answered: 2 dead letters: 1 that are not jobs, 1 whose photo is gone\n"
    )
    with pytest.raises(CommandError, match=r"Nothing was replayed: there is no terminal .* Add --yes"):
        call_command("dlq", "replay")
    assert left() == sorted([odd, lost, good])
    call_command("dlq", "replay", "--yes")
    assert left() == sorted([odd, lost])
    reaches(prediction, Status.SUCCEEDED)


def test_unreadable_message_is_dropped_from_jobs_queue(made_queue: str, capsys: pytest.CaptureFixture[str]) -> None:
    job = letters.body({"prediction_id": "a"})
    for body in ("certainly not a job", job):
        aws.client("sqs").send_message(QueueUrl=made_queue, MessageBody=body)
    call_command("dlq", "drop", "--plan")
    assert "'certainly not a job'\nFound 1 message that is no job." in capsys.readouterr().out
    with pytest.raises(CommandError, match="Nothing was deleted: there is no terminal"):
        call_command("dlq", "drop")
    call_command("dlq", "drop", "--yes")
    assert "Dropped 1 message that is no job." in capsys.readouterr().out
    found = aws.client("sqs").receive_message(QueueUrl=made_queue, MaxNumberOfMessages=10)["Messages"]
    assert [message["Body"] for message in found] == [job]


def test_list_shows_odd_letters_without_obeying_them(undisturbed: None, capsys: pytest.CaptureFixture[str]) -> None:
    letters.put("not a job\t\\")
    letters.put(letters.body({"prediction_id": "\x1b[2J"}))
    call_command("dlq", "list")
    shown = capsys.readouterr().out
    assert "'not a job\\t" in shown
    assert "\x1b" not in shown
    assert shown.endswith("2 dead letters\n")


def test_list_says_how_many_it_leaves_out(undisturbed: None, capsys: pytest.CaptureFixture[str]) -> None:
    letters.put_many(["not a job"] * MANY)
    call_command("dlq", "list")
    assert "\n500 dead letters\n5 more are not shown." in capsys.readouterr().out


def test_purge_by_id_deletes_one_letter(undisturbed: None, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = letters.put("one"), letters.put("two")
    call_command("dlq", "purge", "--id", first, "--yes")
    assert capsys.readouterr().out == "1 dead letter: 1 that are not jobs\nDeleted 1 dead letter\n"
    assert left() == [second]


@pytest.mark.parametrize("action", slow_after(1, [["purge", "--yes"], ["replay", "--yes"]]))
def test_missing_letters_are_named(undisturbed: None, action: list[str]) -> None:
    kept = letters.put("one")
    with pytest.raises(CommandError, match="Not found: nothing"):
        call_command("dlq", *action, "--id", "nothing")
    assert left() == [kept]


def test_purge_refuses_without_terminal(undisturbed: None) -> None:
    kept = letters.put("one")
    with pytest.raises(CommandError, match="Nothing was deleted: there is no terminal"):
        call_command("dlq", "purge")
    assert left() == [kept]


@pytest.mark.slow
@pytest.mark.parametrize("answer", ["yes", "no"])
def test_purge_asks_and_spares_later_letters(undisturbed: None, stack: LocalStack, answer: str) -> None:
    asked_for = letters.put("one")
    letters.wait_until_readable()
    with terminals.running("dlq", "purge", env=stack.env) as screen:
        screen.wait_for("for good: ")
        late = letters.put("two")
        screen.type(f"{answer}\n")
        code, said = screen.end()
    assert code == (0 if answer == "yes" else 1)
    assert "1 dead letter: 1 that are not jobs" in said
    assert left() == ([late] if answer == "yes" else sorted([asked_for, late]))
