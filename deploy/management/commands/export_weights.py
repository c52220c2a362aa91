"""Export the model to the format that the worker runs, and compile it for this CPU."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from detection.model import openvino, weights, yolox

_EXPORTS = {".pt": weights.export, ".onnx": yolox.export}


class Command(BaseCommand):
    # Checks import the whole site, whose packages a worker's image doesn't have.
    requires_system_checks: list[str] = []  # noqa: RUF012  # Django's own declaration of it
    help = "Export the weights of YOLO_WEIGHTS to OpenVINO and compile them, once, so that the worker starts faster."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--weights",
            default=settings.YOLO_WEIGHTS,
            help=".pt file; the .onnx file of YOLOX-Nano (Tiny and S are recognised, too, but have not been tried with"
            " real weights); or an exported model to compile only (default: YOLO_WEIGHTS)",
        )
        parser.add_argument(
            "--sha256",
            default=settings.YOLO_WEIGHTS_SHA256,
            metavar="HEX",
            help="what the file must have to be opened (default: YOLO_WEIGHTS_SHA256, else that of ultralytics'"
            " file of this name)",
        )
        parser.add_argument(
            "--calibration",
            type=Path,
            metavar="YAML",
            help="data set in ultralytics' format: export as int8, calibrated on its images, instead of fp16"
            " (.pt files only; needs the package nncf)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        path = Path(options["weights"])
        try:
            made = self._export(path, options["sha256"], options["calibration"])
        except weights.WeightsMissing as error:
            raise CommandError(str(error)) from error
        if openvino.runs(made):
            openvino.prepare(made)

    def _export(self, path: Path, sha256: str, calibration: Path | None) -> Path:
        if path.suffix not in _EXPORTS:
            self.stdout.write(f"{path} is already exported: the worker loads it as it is.")
            return path
        made = _EXPORTS[path.suffix](weights.locate(path, sha256), calibration)
        self.stdout.write(self.style.SUCCESS(f"The worker loads {made}"))
        return made
