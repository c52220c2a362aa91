"""Each command of docs/incidents.md answers its question: a row of that table without a test here fails."""

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping

import pytest

from botsite import release
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import TelegramUser
from tests.support import incidents, letters, operating, turn
from tests.support.incidents import Incident, Row
from tests.support.processes import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def incident(stack: LocalStack, user: TelegramUser, photo: bytes) -> Iterator[Incident]:
    """A service with a failed photo and a dead letter."""
    with turn.held("bury"):
        yield incidents.happens(stack, user, photo)
        letters.clear()


Done = subprocess.CompletedProcess[str]


def is_up(incident: Incident, done: Done) -> bool:
    return "stacks" in done.stdout and "8 of 8 complete" in done.stdout


def is_checked(incident: Incident, done: Done) -> bool:
    # The letter is found, and what to do about it.
    return "1 dead jobs" in done.stdout and "manage.py dlq replay" in done.stdout


def waits(incident: Incident, done: Done) -> bool:
    found = json.loads(done.stdout)
    return found["jobs"]["dead_letters"] == 1 and "waiting" in found["jobs"] and "seconds" in found["oldest_job"]


def is_traced(incident: Incident, done: Done) -> bool:
    return done.stdout.startswith(f"{incident.photo_id}  failed, delivered") and incident.reason in done.stdout


def is_followed(incident: Incident, done: Done) -> bool:
    return all(word in done.stdout for word in ("polybot-", "yolo5-", "job_sent", "job_failed", "answer_delivered"))


def is_heard(incident: Incident, done: Done) -> bool:
    return "yolo5-1" in done.stdout and f"prediction_id={incident.photo_id}" in done.stdout


def is_bad(incident: Incident, done: Done) -> bool:
    return f"prediction_id={incident.photo_id}" in done.stdout and " info " not in done.stdout


def is_this_version(incident: Incident, done: Done) -> bool:
    return done.stdout.splitlines()[0] == release.text()


def is_shell(incident: Incident, done: Done) -> bool:
    return (done.returncode, done.stdout.strip()) == (0, str(operating.ROOT))


def is_listed(incident: Incident, done: Done) -> bool:
    return incident.letter in done.stdout and f"detection.detect prediction_id={incident.photo_id}" in done.stdout


def is_replayed(incident: Incident, done: Done) -> bool:
    return done.stdout.startswith("To replay: 1 dead letter") and done.stdout.endswith("\nReplayed 1 dead letter\n")


def is_paused(incident: Incident, done: Done) -> bool:
    resumed = incident.ask(Row("", "resume")).stdout
    return done.stdout.startswith("The service is now paused by ") and resumed.startswith("Resumed after ")


def is_resumed(incident: Incident, done: Done) -> bool:
    paused = incident.ask(Row("", "pause")).returncode == 0
    resumed = incident.ask(Row("", "resume")).stdout
    return done.stdout.startswith("The service was not paused. ") and paused and resumed.startswith("Resumed after ")


def is_held(incident: Incident, done: Done) -> bool:
    ended = incident.ask(Row("", "scale --off")).stdout
    return "then its minimum is 0 again" in done.stdout and "its minimum is 0 again" in ended


def has_versions(incident: Incident, done: Done) -> bool:
    return done.returncode == 0 and done.stdout.count("no image was baked") == 3


def goes_back(incident: Incident, done: Done) -> bool:
    # Nothing was baked here; tests/deploy/test_rollback_under_load.py goes back.
    return done.returncode == 1 and "was not baked for objdet" in done.stderr


def is_priced(incident: Incident, done: Done) -> bool:
    return done.returncode == 0 and done.stdout.startswith("Not known here: the local AWS")


ANSWERS: Mapping[str, Callable[[Incident, Done], bool]] = {
    "Is it up?": is_up,
    "What is broken, and what do I do about it?": is_checked,
    "What is waiting, and for how long?": waits,
    "Why did this photo fail?": is_traced,
    "What did each machine do with it?": is_followed,
    "What does the worker's log say?": is_heard,
    "What goes wrong right now?": is_bad,
    "Which version runs there?": is_this_version,
    "How do I get a shell?": is_shell,
    "What was given up, and why?": is_listed,
    "How do I send it again?": is_replayed,
    "How do I stop the spending, and lose nothing?": is_paused,
    "How do I go on after that?": is_resumed,
    "How do I get more machines now?": is_held,
    "Which versions can I go back to?": has_versions,
    "How do I go back to the version before?": goes_back,
    "What has it cost?": is_priced,
}
# They say so if something has not answered within seconds, as on a machine that does much else.
READ_AGAIN = ("Is it up?", "What is broken, and what do I do about it?", "What is waiting, and for how long?")


@pytest.mark.parametrize("row", incidents.ROWS, ids=[row.question for row in incidents.ROWS])
def test_command_answers_its_question(incident: Incident, row: Row) -> None:
    if row.question in READ_AGAIN:
        assert wait_until(lambda: ANSWERS[row.question](incident, incident.ask(row)))
        return
    done = incident.ask(row)
    assert ANSWERS[row.question](incident, done), f"{row.command}: {done.returncode}\n{done.stdout}\n{done.stderr}"


@pytest.mark.smoke
def test_every_line_of_the_table_is_a_row() -> None:
    table = incidents.PAGE.read_text(encoding="utf-8").partition("|---|")[2].partition("\n\n")[0].splitlines()[1:]
    assert len(table) == len(incidents.ROWS) == len(ANSWERS) >= 10
