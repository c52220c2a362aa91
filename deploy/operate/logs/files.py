"""Read log lines from the files of the local AWS, where each machine's process has one."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from botsite.roles import Role
from deploy.operate.logs import entries
from deploy.operate.logs.entries import Entry, Source, Wanted

POLL_SECONDS = 0.3


@dataclass
class _Place:
    """How far a file was read, and the time of its last line that has one."""

    offset: int = 0
    at: datetime | None = None


class FileLogs:
    """The files of a folder that are named after a role and a machine."""

    def __init__(self, folder: Path, wanted: Wanted) -> None:
        self._folder, self._wanted = folder, wanted
        self._places: dict[Path, _Place] = {}

    def read(self) -> Iterator[Entry]:
        """Yield the lines that are new since the last call, by their time."""
        found = [entry for role in self._wanted.roles for entry in self._of_role(role)]
        yield from sorted(filter(self._wanted.takes, found), key=lambda entry: entry.at)

    def _of_role(self, role: Role) -> Iterator[Entry]:
        for path in sorted([*self._folder.glob(f"{role.short}.log"), *self._folder.glob(f"{role.short}-*.log")]):
            source = Source(role, path.stem.partition("-")[2])
            place = self._places.setdefault(path, _Place())
            for line in _lines(path, place):
                # A line without a time of its own is as old as the one before.
                at = place.at or datetime.fromtimestamp(path.stat().st_mtime, UTC)
                if entry := entries.parse(line, source, at):
                    place.at = entry.at
                    yield entry


def _lines(path: Path, place: _Place) -> list[str]:
    """Return the whole lines that are new."""
    with path.open("rb") as file:
        file.seek(place.offset)
        whole, newline, _ = file.read().rpartition(b"\n")
    place.offset += len(whole) + len(newline)
    return whole.decode(errors="replace").splitlines()
