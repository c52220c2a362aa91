"""Export the shapes model to OpenVINO, as the worker exports weights: `python -m deploy.local.shapes.export`.

The exports are committed, so that the demo and the tests of a worker need no torch. An export has one input size: the
square one is what the worker runs, the other two fit photos of 4:3.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

WEIGHTS = Path(__file__).with_name("shapes.pt")
# (height, width), each a multiple of the model's stride, 32, by the name of the folder.
SIZES = {
    "shapes_openvino_model": (320, 320),
    "shapes-320x256_openvino_model": (256, 320),
    "shapes-256x320_openvino_model": (320, 256),
}


def main() -> None:
    """Export the committed weights in every size, next to them."""
    for name in SIZES:
        target = WEIGHTS.with_name(name)
        shutil.rmtree(target, ignore_errors=True)
        export(WEIGHTS, name, target)
        sys.stdout.write(f"{target}\n")


def export(weights: Path, name: str, target: Path) -> None:
    """Write one export to `target`: fp16, as detection/model/weights.py exports what is not calibrated."""
    with tempfile.TemporaryDirectory(prefix="shapes-") as folder:
        os.environ.update(YOLO_OFFLINE="1", YOLO_AUTOINSTALL="false", YOLO_CONFIG_DIR=folder)
        from ultralytics.models import YOLO

        # The export lands next to the weights.
        copy = shutil.copy(weights, folder)
        made = YOLO(copy).export(format="openvino", quantize=16, imgsz=SIZES[name])
        shutil.move(made, target)


if __name__ == "__main__":
    main()
