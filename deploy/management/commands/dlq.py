"""List, replay or delete the dead letters of the jobs queue."""

import json
import time
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import CommandError, CommandParser

from deploy.management.base import DataCommand
from deploy.management.confirm import confirm
from detection.record import deliveries
from detection.work import dead_letters
from detection.work.dead_letters import DeadLetter

# While the apology is being sent, it holds the delivery: its letter can't be replayed for at most this long.
_PATIENCE_SECONDS = deliveries.LEASE.total_seconds() + 10
_AGAIN_SECONDS = 2.0


class Command(DataCommand):
    """List, replay or delete; what is replayed is answered after all."""

    help = (
        "List, replay or delete dead letters of the jobs queue; replay leaves out what nobody could be answered for. "
        "`drop` deletes what is no job from the jobs queue itself, where it is tried again and again. Needs on both "
        "queues sqs:GetQueueAttributes, ReceiveMessage, ChangeMessageVisibility, DeleteMessage, SendMessage, and "
        "dynamodb:GetItem, UpdateItem."
    )
    interrupted = "Interrupted. What was replayed or deleted by then stays so: `dlq list` shows what is left."
    needs = ("JOBS_QUEUE_URL", "PREDICTIONS_TABLE")

    def add_arguments(self, parser: CommandParser) -> None:
        """Add what to do, and to which letters."""
        super().add_arguments(parser)
        parser.add_argument("action", choices=["list", "replay", "purge", "drop"])
        parser.add_argument(
            "--id", action="append", dest="ids", metavar="MESSAGE_ID", help="only this letter; can be repeated"
        )
        parser.add_argument("--plan", action="store_true", help="print what would be replayed or deleted, and stop")
        parser.add_argument("--yes", action="store_true", help="replay or delete without asking")
        parser.add_argument("--json", action="store_true", help="list them as JSON")

    def work(self, **options: Any) -> None:
        """Do it."""
        action, ids = options["action"], set(options["ids"] or ())
        try:
            if action == "list":
                self._list(ids, options["json"])
            elif action == "replay":
                self._replay(ids, options["plan"], options["yes"])
            elif action == "purge":
                self._purge(ids, options["plan"], options["yes"])
            else:
                self._drop(options["plan"], options["yes"])
        except dead_letters.NoDeadLetterQueue as error:
            raise CommandError(str(error)) from error

    def _list(self, ids: set[str], as_json: bool) -> None:
        found = [letter for letter in dead_letters.look() if not ids or letter.message_id in ids]
        if as_json:
            self.stdout.write(json.dumps([_as_dict(letter) for letter in found], indent=2))
            return
        for letter in found:
            sent = _sent(letter)
            what = f"{letter.task} prediction_id={letter.prediction_id}" if letter.task else repr(letter.body[:100])
            self.stdout.write(f"{letter.message_id}  sent={sent}  receives={letter.receives}  {what}")
        self.stdout.write(_letters(len(found)))
        if not ids and (more := dead_letters.count() - len(found)) > 0:
            self.stdout.write(
                f"{more} more are not shown. replay and purge take them all, unless you name letters with --id."
            )

    def _replay(self, ids: set[str], plan: bool, sure: bool) -> None:
        kinds = _kinds(ids)
        chosen = {name: kind for name, (kind, why) in kinds.items() if not why}
        stay = {name: why for name, (_, why) in kinds.items() if why}
        for verb, found in (("To replay", chosen), ("Left alone, as nobody could be answered", stay)):
            if found:
                self.stdout.write(f"{verb}: {_counted(found)}")
        if plan:
            return
        if chosen and not sure:
            question = "Replay them? Each is answered in its chat. [y/N] "
            confirm(self.console(), question, "Nothing was replayed", "Add --yes to replay them.")
        if chosen:
            self._replay_chosen(set(chosen))
        else:
            self.stdout.write(f"Replayed {_letters(0)}")
        _miss(ids - kinds.keys())

    def _replay_chosen(self, ids: set[str]) -> None:
        give_up_at = time.monotonic() + _PATIENCE_SECONDS
        replayed, busy = self._replay_once(ids)
        found = replayed | busy
        while busy and time.monotonic() < give_up_at:
            self.stdout.write(f"Waiting for {_letters(len(busy))}: the apology is being sent right now")
            time.sleep(_AGAIN_SECONDS)
            again, busy = self._replay_once(busy)
            replayed |= again
        self.stdout.write(f"Replayed {_letters(len(replayed))}")
        if busy:
            raise CommandError(f"Left {_letters(len(busy))} in the queue: run the command again in a minute.")
        _miss(ids - found)

    def _replay_once(self, ids: set[str]) -> tuple[set[str], set[str]]:
        """Return the ids of the replayed letters, and of those that can't be replayed yet."""
        done: dict[bool, set[str]] = {True: set(), False: set()}
        with closing(dead_letters.chosen(ids)) as letters:
            for letter in letters:
                done[dead_letters.replay(letter)].add(letter.message_id)
        return done[True], done[False]

    def _purge(self, ids: set[str], plan: bool, sure: bool) -> None:
        kinds = {name: kind for name, (kind, _) in _kinds(ids).items()}
        if kinds:
            self.stdout.write(_counted(kinds))
            if plan:
                return
            if not sure:
                question, instead = "Type yes to delete them for good: ", "Add --yes to delete them."
                confirm(self.console(), question, "Nothing was deleted", instead, typed="yes")
        self.stdout.write(f"Deleted {_letters(_delete(kinds) if kinds else 0)}")
        _miss((ids or kinds.keys()) - kinds.keys())

    def _drop(self, plan: bool, sure: bool) -> None:
        found, kept = dead_letters.unreadable_jobs(), True
        try:
            for one in found:
                self.stdout.write(f"{one.message_id}  sent={_sent(one)}  receives={one.receives}  {one.body[:100]!r}")
            if found and not (plan or sure):
                question, instead = "Type yes to delete them for good: ", "Add --yes to delete them."
                confirm(self.console(), question, "Nothing was deleted", instead, typed="yes")
            if not plan:
                dead_letters.drop(found)
                kept = False
        finally:
            if kept:
                dead_letters.keep(found)
        number = "1 message that is no job" if len(found) == 1 else f"{len(found)} messages that are no jobs"
        self.stdout.write(f"{'Found' if plan else 'Dropped'} {number}. {_UNSEEN}")


# What a look at the jobs queue doesn't show.
_UNSEEN = "What waits for its next try, at most a minute, is not among them: run this again."


def _kinds(ids: Collection[str]) -> dict[str, tuple[str, str]]:
    """Return, by the id of each letter, its kind, and why replaying it would answer nobody."""
    with closing(dead_letters.chosen(ids)) as letters:
        return {letter.message_id: (_kind(letter), dead_letters.hopeless(letter)) for letter in letters}


def _counted(kinds: Mapping[str, str]) -> str:
    counts = Counter(kinds.values()).most_common()
    return f"{_letters(len(kinds))}: {', '.join(f'{count} {kind}' for kind, count in counts)}"


def _sent(letter: DeadLetter) -> str:
    return datetime.fromtimestamp(letter.sent_at / 1000, UTC).isoformat(timespec="seconds")


def _as_dict(letter: DeadLetter) -> dict[str, object]:
    return {
        "message_id": letter.message_id,
        "sent": _sent(letter),
        "receives": letter.receives,
        "task": letter.task,
        "prediction_id": letter.prediction_id,
        "body": letter.body,
    }


def _delete(ids: Collection[str]) -> int:
    """Delete only these letters, as more may have arrived since they were counted; return how many."""
    deleted = 0
    with closing(dead_letters.chosen(ids)) as letters:
        for letter in letters:
            dead_letters.delete(letter)
            deleted += 1
    return deleted


def _letters(count: int) -> str:
    return f"{count} dead letter{'' if count == 1 else 's'}"


def _kind(letter: DeadLetter) -> str:
    return f"of {letter.task}" if letter.task else "that are not jobs"


def _miss(ids: set[str]) -> None:
    """Raise CommandError for letters that were not found."""
    if ids:
        raise CommandError(
            f"Not found: {', '.join(sorted(ids))}. Replayed or deleted already, or being read by someone else."
        )
