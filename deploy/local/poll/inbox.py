"""Keep on disk what Telegram has been told to forget, until it is dealt with.

The local AWS is in memory. If this machine or the command dies between Telegram's update and the answer, the update is
here, and the next run begins with it.
"""

import json
import os
import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Telegram itself drops updates after that time.
KEPT_SECONDS = 24 * 3600
_TABLE = "CREATE TABLE IF NOT EXISTS updates (update_id INTEGER PRIMARY KEY, body TEXT NOT NULL, came REAL NOT NULL)"


@dataclass(frozen=True, slots=True)
class Update:
    """An update as Telegram sent it, JSON; `came` is when, in epoch seconds."""

    update_id: int
    body: str
    came: float

    @property
    def lane(self) -> str:
        """Return the queue it belongs to: as with a webhook, a chat's messages and a person's presses have an order."""
        kinds = json.loads(self.body)
        for kind in kinds.values():
            if isinstance(kind, dict):
                place = kind.get("chat") if "chat" in kind else kind.get("from")
                return f"{'chat' if 'chat' in kind else 'person'}:{_identity(place)}"
        return f"update:{self.update_id}"

    @property
    def expired(self) -> bool:
        """Return whether it is too old to matter."""
        return time.time() - self.came > KEPT_SECONDS


def _identity(place: Any) -> object:
    return place.get("id") if isinstance(place, dict) else None


class Inbox:
    """The updates of one bot that are not dealt with yet. Only the thread that opened it may use it."""

    def __init__(self, path: Path) -> None:
        # People's messages: only the owner of this account may read them.
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        path.chmod(0o600)
        self._database = sqlite3.connect(path)
        self._database.execute("PRAGMA synchronous = FULL")
        # What is removed is not to be read from the file any more.
        self._database.execute("PRAGMA secure_delete = ON")
        with self._database:
            self._database.execute(_TABLE)
            self._database.execute("DELETE FROM updates WHERE came < ?", (time.time() - KEPT_SECONDS,))

    def add(self, received: Iterable[dict[str, Any]]) -> list[Update]:
        """Store updates, on disk when this returns; return those that were not there."""
        came = time.time()
        new = []
        with self._database:
            for one in received:
                update = Update(one["update_id"], json.dumps(one), came)
                row = (update.update_id, update.body, update.came)
                if self._database.execute("INSERT OR IGNORE INTO updates VALUES (?, ?, ?)", row).rowcount:
                    new.append(update)
        return new

    def left(self) -> list[Update]:
        """Return what is not dealt with, oldest first."""
        with closing(self._database.execute("SELECT update_id, body, came FROM updates ORDER BY update_id")) as rows:
            return [Update(*row) for row in rows]

    def remove(self, update: Update) -> None:
        """Forget an update that is dealt with."""
        with self._database:
            self._database.execute("DELETE FROM updates WHERE update_id = ?", (update.update_id,))

    def close(self) -> None:
        """Close the file."""
        self._database.close()
