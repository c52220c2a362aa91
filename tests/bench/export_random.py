"""Export a YOLO11n of random weights, as int8: what a model sees does not change its speed.

    pip install nncf==3.4.0
    python -m tests.bench.export_random FOLDER [PHOTOS]
    python -m tests.bench --weights FOLDER/any/yolo11n_openvino_model --square FOLDER/square/yolo11n_openvino_model

`any` takes images of any shape, as the worker exports its weights; `square` is an export as ultralytics makes it. NNCF,
which calibrates them, is not among what the tests need. PHOTOS is a folder of JPEGs (default: those of ultralytics).
"""

import importlib.util
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import django


def main(folder: Path, photos: Path | None) -> None:
    """Write both exports to `folder`."""
    from detection.model import weights
    from tests.bench.photos import lay_out

    if not importlib.util.find_spec("nncf"):
        sys.exit("This needs NNCF: pip install nncf==3.4.0")
    ultralytics = weights.ultralytics()
    import torch

    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "yolo11n.pt"
    ultralytics.YOLO("yolo11n.yaml").save(file)
    for photo in lay_out(folder / "images", photos, "yolo11n.pt"):
        _label(folder / "labels" / f"{photo.stem}.txt")
    data = folder / "photos.yaml"
    names = "\n".join(f"  {number}: '{number}'" for number in range(80))
    data.write_text(f"path: {folder.resolve()}\ntrain: images\nval: images\nnames:\n{names}\n")
    for name, options in {"any": {"dynamic": True}, "square": {}}.items():
        _export(ultralytics.YOLO(file), data, folder / name, options)


def _label(file: Path) -> None:
    """Write a box that stands for a photo's, which calibrating does not look at."""
    file.parent.mkdir(exist_ok=True)
    file.write_text("0 0.5 0.5 0.2 0.2\n")


def _export(model: Any, data: Path, target: Path, options: dict[str, bool]) -> None:
    made = model.export(format="openvino", quantize=8, data=str(data), **options)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    shutil.move(made, target / "yolo11n_openvino_model")
    sys.stdout.write(f"{target / 'yolo11n_openvino_model'}\n")


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "botsite.settings")
    django.setup()
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
