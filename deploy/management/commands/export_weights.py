"""Export the model to the format that the worker runs, and compile it for this CPU."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from detection.model import openvino, weights


class Command(BaseCommand):
    # Checks import the whole site, whose packages a worker's image doesn't have.
    requires_system_checks: list[str] = []  # noqa: RUF012  # Django's own declaration of it
    help = "Export the weights of YOLO_WEIGHTS to OpenVINO and compile them, once, so that the worker starts faster."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--weights",
            default=settings.YOLO_WEIGHTS,
            help=".pt file, or an exported model to compile only (default: YOLO_WEIGHTS)",
        )
        parser.add_argument(
            "--calibration",
            type=Path,
            metavar="YAML",
            help="data set in ultralytics' format: export as int8, calibrated on its images, instead of fp16"
            " (needs the package nncf)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        path = Path(options["weights"])
        try:
            made = self._export(path, options["calibration"])
        except weights.WeightsMissing as error:
            raise CommandError(str(error)) from error
        if openvino.is_plain_detector(made):
            openvino.prepare(made)

    def _export(self, path: Path, calibration: Path | None) -> Path:
        if path.suffix != ".pt":
            self.stdout.write(f"{path} is already exported: the worker loads it as it is.")
            return path
        made = weights.export(weights.locate(path), calibration)
        self.stdout.write(self.style.SUCCESS(f"The worker loads {made}"))
        return made
