"""`manage.py dlq list|replay|purge`: what to do with jobs that were given up."""

from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from detection import dead_letters


class Command(BaseCommand):
    help = "List the dead letters of the jobs queue, put them back into it, or delete them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["list", "replay", "purge"])
        parser.add_argument("--id", action="append", dest="ids", metavar="MESSAGE_ID", help="replay only these letters")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['action']}")(options["ids"])
        except (dead_letters.NoDeadLetterQueue, ClientError, BotoCoreError) as error:
            raise CommandError(str(error)) from error

    def _list(self, ids: list[str] | None) -> None:
        letters = dead_letters.look()
        for letter in letters:
            sent = datetime.fromtimestamp(letter.sent_at / 1000, UTC).isoformat(timespec="seconds")
            what = f"{letter.task} prediction_id={letter.prediction_id}" if letter.task else letter.body[:100]
            self.stdout.write(f"{letter.message_id}  sent={sent}  receives={letter.receives}  {what}")
        self.stdout.write(f"{len(letters)} dead letters")

    def _replay(self, ids: list[str] | None) -> None:
        replayed = 0
        for letter in dead_letters.read():
            if not ids or letter.message_id in ids:
                dead_letters.replay(letter)
                replayed += 1
        self.stdout.write(f"{replayed} dead letters are jobs again")

    def _purge(self, ids: list[str] | None) -> None:
        dead_letters.purge()
        self.stdout.write("all dead letters are deleted")
