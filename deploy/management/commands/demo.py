"""Run the whole service on this machine."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from deploy.local import demo, demo_environment
from deploy.local.processes import ChildFailed
from deploy.stacks import StackError
from detection.model.weights import WeightsMissing


class Command(BaseCommand):
    help = "Run the whole service on this machine and answer a photo: on a local AWS, with a fake Telegram."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="stop when the sample photo is answered")
        parser.add_argument(
            "--folder",
            type=Path,
            default=demo_environment.folder(),
            help="folder for logs and the answer (default: %(default)s)",
        )

        parser.add_argument(
            "--warm-machines",
            type=int,
            default=0,
            metavar="N",
            help="number of workers to prepare and stop first, so that they start faster (default: %(default)s)",
        )

        parser.add_argument(
            "--standby",
            action="store_true",
            default=settings.STANDBY_WORKER,
            help="have a worker next to the metric, which answers at once (default: STANDBY_WORKER)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        parameters = {
            "WarmMachines": str(options["warm_machines"]),
            "StandbyWorker": "on" if options["standby"] else "off",
            "ReadText": "on" if settings.READ_TEXT else "off",
        }
        try:
            answer = demo.run(options["once"], options["folder"], parameters)
        except (demo_environment.AlreadyRunning, ChildFailed, StackError, TimeoutError, WeightsMissing) as error:
            raise CommandError(str(error)) from error
        if answer is None:
            raise CommandError("stopped before the sample photo was answered")
        self.stdout.write(
            f"answered prediction_id={answer.prediction_id} objects={answer.objects} seconds={answer.seconds:.1f}"
        )
