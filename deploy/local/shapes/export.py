"""Export the shapes model to OpenVINO, as the worker exports weights: `python -m deploy.local.shapes.export`.

The export is committed, so that the demo and the tests of a worker need no torch.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

WEIGHTS = Path(__file__).with_name("shapes.pt")
EXPORT = WEIGHTS.with_name("shapes_openvino_model")


def main() -> None:
    """Export the committed weights, next to them."""
    shutil.rmtree(EXPORT, ignore_errors=True)
    export(WEIGHTS, EXPORT)
    sys.stdout.write(f"{EXPORT}\n")


def export(weights: Path, target: Path) -> None:
    """Write an export to `target`: for any shape, and fp16 as detection/model/weights.py does without calibration."""
    with tempfile.TemporaryDirectory(prefix="shapes-") as folder:
        os.environ.update(YOLO_OFFLINE="1", YOLO_AUTOINSTALL="false", YOLO_CONFIG_DIR=folder)
        from ultralytics.models import YOLO

        # The export lands next to the weights.
        copy = shutil.copy(weights, folder)
        made = YOLO(copy).export(format="openvino", dynamic=True, quantize=16)
        shutil.move(made, target)


if __name__ == "__main__":
    main()
