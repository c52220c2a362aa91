"""Each question of each command can be read on a terminal; Ctrl-C there says that nothing has begun."""

from collections.abc import Iterator, Sequence

import pytest

from botsite import aws
from deploy import lock, provision
from deploy.service import Service
from tests.support import emulators, letters, local_images, operating, terminals
from tests.support.cases import slow_after
from tests.support.deployed import statuses
from tests.support.terminals import CTRL_D

PREFIX = "asked"
# The words of each question, as they are to be read, and what an interrupted one leaves undone.
QUESTIONS: Sequence[tuple[list[str], str, str]] = (
    (["provision", "--prefix", "unasked"], "Make unasked there? [y/N] ", "Nothing was made"),
    (["provision", "--prefix", PREFIX], "The bot's token, from @BotFather (not shown", "Nothing was changed"),
    (["rollback", "yolo5", "--prefix", PREFIX], "Roll back, and replace these machines? [y/N] ", "Nothing was changed"),
    (["teardown", "--prefix", PREFIX], f"Type {PREFIX} to delete all of this: ", "Nothing was deleted"),
    (["dlq", "purge", "--prefix", PREFIX], "Type yes to delete them for good: ", "Nothing was deleted"),
    (
        ["dlq", "replay", "--prefix", PREFIX],
        "Replay them? Each is answered in its chat. [y/N] ",
        "Nothing was replayed",
    ),
    (["dlq", "drop", "--prefix", PREFIX], "Type yes to delete them for good: ", "Nothing was deleted"),
    (
        ["restart", "metrics", "--prefix", PREFIX],
        f"of {PREFIX}-metrics with new ones of the same",
        "Nothing was restarted",
    ),
    (["rotate", "telegram-token", "--prefix", PREFIX], "The bot's token, from @BotFather (not", "Nothing was changed"),
    (["poll"], "The bot's token, from @BotFather (not shown): ", "Nothing was started"),
)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """An emulated AWS with a service that has an earlier image and a dead letter."""
    with emulators.ministack() as url:
        for version in ("1.0", "1.1"):
            local_images.register(Service(PREFIX), "yolo5", version)
        provision.deploy(Service(PREFIX))
        url_of = Service(PREFIX).output("queue", "JobsDlqUrl")
        aws.client("sqs").send_message(QueueUrl=url_of, MessageBody="no job")
        aws.client("sqs").send_message(QueueUrl=url_of, MessageBody=letters.body({"chat_id": 1}))
        jobs = Service(PREFIX).output("queue", "JobsQueueUrl")
        aws.client("sqs").send_message(QueueUrl=jobs, MessageBody="no job")
        yield url


@pytest.mark.parametrize(
    ("command", "question", "nothing"),
    slow_after(2, QUESTIONS),
    ids=[f"{one[0][0]}-{n}" for n, one in enumerate(QUESTIONS)],
)
def test_question_is_readable_and_ctrl_c_begins_nothing(
    endpoint: str, command: list[str], question: str, nothing: str
) -> None:
    before = statuses(PREFIX)
    with terminals.running(*command, env=operating.environment(endpoint)) as screen:
        screen.wait_for(question)
        code, text = screen.interrupt()
    assert (code, text.splitlines()[-1]) == (130, f"CommandError: {nothing}: interrupted before it began.")
    assert "Traceback" not in text
    assert statuses(PREFIX) == before
    assert lock.read(Service(PREFIX)) is None


@pytest.mark.slow
def test_question_about_a_lock_is_readable(endpoint: str) -> None:
    holder = lock.Run("provision", "user/ann", "2026-12-03T06:00:00+00:00", "another-machine", 7)
    lock.begin(Service("unasked"), holder)
    with terminals.running("teardown", "--prefix", "unasked", env=operating.environment(endpoint)) as screen:
        assert "unasked is locked by `provision`, started by user/ann" in screen.wait_for("Take over? [y/N] ")
        screen.type(CTRL_D)
        code, _ = screen.end()
    assert code == 1
    assert lock.read(Service("unasked")) == holder
    lock.end(Service("unasked"), holder)
