"""The table of docs/incidents.md, and a service in which its questions have answers."""

import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

from deploy.local.stack import LocalStack
from deploy.local.telegram.client import TelegramUser
from detection.record import predictions, queries
from tests.support import letters, operating

PAGE = Path(__file__).parents[2] / "docs" / "incidents.md"
_ROW = re.compile(r"^\| (?P<question>[A-Z].*?) \| `python manage\.py (?P<command>.+?)` \| \S+ \| \S+ \|$", re.M)


@dataclass(frozen=True)
class Row:
    """A question, and the command that answers it, without "python manage.py"."""

    question: str
    command: str


ROWS = [Row(found["question"], found["command"]) for found in _ROW.finditer(PAGE.read_text(encoding="utf-8"))]


@dataclass(frozen=True)
class Incident:
    """A service that could not read a photo, whose job is a dead letter."""

    stack: LocalStack
    photo_id: str
    reason: str
    letter: str

    def ask(self, row: Row) -> subprocess.CompletedProcess[str]:
        """Run a row's command as an operator of the local AWS, whose shell ends at once."""
        words = [word if word != "ID" else self.photo_id for word in shlex.split(row.command)]
        local = {"LOG_FOLDER": self.stack.env["LOG_FOLDER"], "SHELL": "/bin/pwd"}
        return operating.manage(*words, env=operating.of(self.stack) | local)


def happens(stack: LocalStack, user: TelegramUser, photo: bytes) -> Incident:
    """Have a photo fail and its job among the dead letters; the caller keeps the service's burying off."""
    # Enough of a JPEG for a site to take it for one, too little for a worker.
    user.wait_for_reply(user.send_document(photo[: len(photo) // 2], "photo.jpg"))
    found = predictions.find(queries.latest_of_chat(user.chat_id)[0])
    assert found
    assert found.error
    letters.clear()
    return Incident(stack, found.prediction_id, found.error, letters.bury(found))
