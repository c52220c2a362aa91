"""The page of dead letters says why each is there and what its sender knows; operators delete one, or all they saw."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from botsite.staff import letter_rows
from botsite.staff.letter_rows import LetterLine
from deploy.local.stack import LocalStack
from detection.record import predictions, times
from detection.record.reasons import Reason
from detection.record.schemas import Delivery, Prediction, Status
from detection.record.sentences import Code
from detection.work import dead_letters
from detection.work.dead_letters import DeadLetter
from tests.support import letters, operators, states, turn
from tests.support.operators import Operator

PAGE = "/ops/dead-letters"
NOW = times.now()
LETTER = DeadLetter("m1", "r1", "{}", "detection.detect", "p1", 51, int(NOW.timestamp() * 1000))
GIVEN_UP = Prediction(
    "p1", 7, 8, "photos/p1", Status.FAILED, Delivery.DELIVERED, attempts=5, photo_bytes=1, reason=Reason(Code.GIVEN_UP)
)


@pytest.fixture(scope="module")
def admin(stack: LocalStack) -> Operator:
    return operators.admin(stack)


@pytest.fixture(autouse=True)
def undisturbed(stack: LocalStack) -> Iterator[None]:
    """Keep the service's own burial from the letters."""
    with turn.held("bury", "sweep"):
        letters.clear()
        yield
        letters.clear()


@pytest.fixture
def job(stack: LocalStack) -> Callable[..., Prediction]:
    """Return what makes a job that is a dead letter, and whose sender was told if it is `told`."""

    def make(told: bool = True) -> Prediction:
        identity = uuid4().hex
        prediction = Prediction(identity, 7, 8, f"photos/{identity}", photo_bytes=1)
        predictions.create(prediction)
        if told:
            predictions.fail(identity, Reason(Code.GIVEN_UP))
            states.deliver(identity)
        letters.bury(prediction)
        return prediction

    return make


def _left() -> list[str]:
    return sorted(letter.message_id for letter in dead_letters.look())


@pytest.mark.parametrize(
    ("prediction", "cause", "told"),
    [
        (GIVEN_UP, "Each worker that began it ended before it was done: killed, or out of memory.", "was told"),
        (replace(GIVEN_UP, failure="MemoryError"), "The worker failed with MemoryError.", "was told"),
        (
            replace(GIVEN_UP, attempts=0, status=Status.QUEUED, delivery=Delivery.PENDING),
            "No worker began it: each that received it ended first, or could not reach AWS.",
            "is told within a minute",
        ),
        (replace(GIVEN_UP, status=Status.SUCCEEDED), "Its job has succeeded since.", "has the answer"),
        (
            replace(GIVEN_UP, status=Status.QUEUED, reopened_at=NOW + timedelta(hours=1)),
            "Its job was sent again since.",
            "waits for the new job",
        ),
        (
            replace(GIVEN_UP, delivery=Delivery.UNDELIVERABLE, failure="ValueError"),
            "The worker failed with ValueError.",
            "can't be told: Telegram rejects the message",
        ),
    ],
)
def test_letter_has_cause_and_its_sender(prediction: Prediction, cause: str, told: str) -> None:
    line = letter_rows.line(LETTER, prediction)
    assert (line.cause, line.told, line.chat, line.message, line.attempts) == (cause, told, 7, 8, prediction.attempts)


def test_summary_is_true_of_each_kind() -> None:
    told = letter_rows.line(LETTER, GIVEN_UP)
    waits = replace(told, told="is told within a minute")
    gone = letter_rows.line(LETTER, None)
    other = LetterLine(replace(LETTER, task=None, prediction_id=None), NOW, "", "Not a job of this service.")
    assert letter_rows.summary([told]) == "1 job failed too often; its sender was told."
    assert letter_rows.summary([told, told]) == "2 jobs failed too often; all of their senders were told."
    assert letter_rows.summary([waits, told, waits]) == "3 jobs failed too often; 1 of their senders was told."
    assert letter_rows.summary([gone]) == "1 letter of jobs that no longer exist."
    assert letter_rows.summary([other]) == "1 letter is no job of this service: nobody waits for an answer."


def test_odd_letters_have_no_senders_on_the_page(admin: Operator, job: Callable[..., Prediction]) -> None:
    letters.put("<b>not a job</b>")
    odd = admin.get(PAGE).text
    assert ("nobody waits for an answer" in odd, "told" in odd, "failed too often" in odd) == (True, False, False)
    known = job()
    page = admin.get(PAGE).text
    assert "1 job failed too often; its sender was told. 1 letter is no job" in page
    assert f'?chat={known.chat_id}">{known.chat_id}</a> was told' in page


def test_chosen_letter_is_deleted_and_recorded(admin: Operator, job: Callable[..., Prediction]) -> None:
    prediction, kept = job(), letters.put("kept")
    chosen = next(each for each in dead_letters.look() if each.prediction_id).message_id
    asked = admin.get(f"{PAGE}/delete?id={chosen}").text
    assert ("Permanently delete this dead letter?" in asked, prediction.prediction_id in asked) == (True, True)
    assert admin.post(f"{PAGE}/delete?id={chosen}").headers["location"] == PAGE
    assert f"Deleted: {prediction.prediction_id}." in admin.get(PAGE).text
    assert _left() == [kept]
    found = predictions.find(prediction.prediction_id)
    assert found is not None
    assert [act.operation for act in found.acts] == ["delete letter"]


@pytest.mark.slow
def test_all_letters_are_deleted_but_later_ones(admin: Operator, job: Callable[..., Prediction]) -> None:
    job()
    letters.put_many(["not a job"] * 12)
    asked = admin.get(f"{PAGE}/delete-all").text
    assert "Permanently delete these 13 dead letters?" in asked
    ids = [part.split('"')[0] for part in asked.split('name="id" value="')[1:]]
    late = letters.put("late")
    token = asked.split('csrfmiddlewaretoken" value="')[1].split('"')[0]
    assert admin.send(f"{PAGE}/delete-all", csrfmiddlewaretoken=token, id=ids).status_code == 302
    assert "Deleted: 13 letters." in admin.get(PAGE).text
    assert _left() == [late]


@pytest.mark.slow
def test_gone_letter_is_not_asked_about(admin: Operator) -> None:
    assert admin.get(f"{PAGE}/delete?id=nothing").headers["location"] == PAGE
    assert "1 selected letter is gone: already replayed or deleted" in admin.get(PAGE).text
    assert admin.get(f"{PAGE}/delete-all").headers["location"] == PAGE


def test_hidden_letters_are_no_one_elses_fault(admin: Operator) -> None:
    letters.put("one")
    reading = dead_letters.read()
    next(reading)
    page = admin.get(PAGE).text
    reading.close()
    assert "1 letter can't be shown right now: the service, a command or this page in another tab" in page
