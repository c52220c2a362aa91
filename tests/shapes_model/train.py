"""Train the shapes model on drawings and export it: `python -m tests.shapes_model.train`.

The model is YOLO11 at half the width of its smallest size. It finds circles, squares and triangles, and lets
tests and the demo run the whole path through YOLO with no network and no weights of others. Only the export is
committed: no worker needs torch to run it.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deploy.local.sample import DRAWING, SHAPES
from tests.shapes_model.draw import LABELS, DrawnPhoto, draw_photo, draw_sample

OUTPUT = Path("var/shapes.pt")
IMAGE_SIZE = 320  # pixels, the longer side of what the model sees
HELD_OUT_SEED = 1_000_000  # Drawings from this seed on are never learned from.
HELD_OUT_IMAGES = 300
LEAST_MAP50 = 0.95
PHOTO_SIZES = ((640, 480), (640, 480), (480, 640), (640, 640), (1280, 960))


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw, train, store, export; return 0, or 1 and export nothing if the model misses too much of new drawings."""
    options = _options(arguments)
    with tempfile.TemporaryDirectory(prefix="shapes-") as name:
        folder = Path(name)
        _keep_ultralytics_offline(folder)
        data = _draw_data_set(folder, options.images, options.seed)
        trained = _train(folder, data, options)
        _store(trained, options.output)
        score = _held_out_map50(options.output, data)
        if score >= LEAST_MAP50:
            _export(options.output, folder)
    sys.stdout.write(f"{options.output}: {options.output.stat().st_size} bytes, held-out mAP50 {score:.3f}\n")
    return 0 if score >= LEAST_MAP50 else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.shapes_model.train", description=__doc__)
    parser.add_argument("--images", type=int, default=3000, help="number of drawings (default %(default)s)")
    parser.add_argument("--epochs", type=int, default=8, help="times each is seen (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of drawings and training (default %(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="CPU threads (default %(default)s)")
    parser.add_argument("--start", type=Path, help="a .pt file to go on from instead of random weights")
    parser.add_argument("--output", type=Path, default=OUTPUT, help=".pt file to write (default %(default)s)")
    return parser.parse_args(arguments)


def _keep_ultralytics_offline(folder: Path) -> None:
    """Stop update checks, analytics, self-installation and the font download before the first import."""
    os.environ.update(YOLO_OFFLINE="1", YOLO_AUTOINSTALL="false", YOLO_CONFIG_DIR=str(folder))
    # Training asks for Arial even where nothing is plotted, and downloads it unless there is such a file.
    (folder / "Ultralytics").mkdir()
    (folder / "Ultralytics" / "Arial.ttf").touch()
    from ultralytics import settings

    settings.update(dict.fromkeys(("sync", "clearml", "comet", "dvc", "mlflow", "raytune"), False))


def _draw_data_set(folder: Path, images: int, seed: int) -> Path:
    """Write JPEG files and YOLO label files for learning and for the held-out test; return the data.yaml."""
    for split, first, count in (("train", seed * 10_000, images), ("val", HELD_OUT_SEED, HELD_OUT_IMAGES)):
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True)
        for number in range(first, first + count):
            photo = draw_photo(number, *PHOTO_SIZES[number % len(PHOTO_SIZES)], clean=number % 4 == 0)
            photo.image.save(folder / "images" / split / f"{number}.jpg", quality=95)
            (folder / "labels" / split / f"{number}.txt").write_text(_label_lines(photo))
    data = folder / "data.yaml"
    names = "".join(f"  {number}: {label}\n" for number, label in enumerate(LABELS))
    data.write_text(f"path: {folder}\ntrain: images/train\nval: images/val\nnames:\n{names}")
    return data


def _label_lines(photo: DrawnPhoto) -> str:
    return "".join(
        f"{LABELS.index(shape.label)} {shape.cx:.6f} {shape.cy:.6f} {shape.width:.6f} {shape.height:.6f}\n"
        for shape in photo.shapes
    )


def architecture(folder: Path) -> Path:
    """Write the model yaml: YOLO11 as ultralytics ships it, at half the width of YOLO11n."""
    from ultralytics.utils import ROOT, YAML

    yaml: Any = YAML
    model = yaml.load(ROOT / "cfg" / "models" / "11" / "yolo11.yaml")
    del model["scales"]
    path = folder / "yolo11-shapes.yaml"
    yaml.save(path, model | {"nc": len(LABELS), "depth_multiple": 0.5, "width_multiple": 0.125})
    return path


def _train(folder: Path, data: Path, options: argparse.Namespace) -> Path:
    """Return the path of the trained checkpoint."""
    import torch
    from ultralytics.models import YOLO

    model: Any = YOLO(options.start or architecture(folder))
    # ultralytics leaves one core to others, which on two cores doubles the time.
    model.add_callback("on_train_start", lambda trainer: torch.set_num_threads(options.threads))
    model.train(
        data=str(data), epochs=options.epochs, imgsz=IMAGE_SIZE, seed=options.seed, deterministic=True,
        device="cpu", amp=False, workers=0, plots=False, val=False, project=str(folder), name="run",
        # The drawings vary by themselves: mosaics of them would only cost time.
        mosaic=0.0, scale=0.3, translate=0.1, flipud=0.5, hsv_h=0.5,
        # A small model learns faster by many small steps than by ultralytics' batches of 64.
        batch=16, nbs=16, optimizer="AdamW", lr0=0.004, lrf=0.01, cos_lr=True, warmup_epochs=1,
        warmup_bias_lr=0.0, channels_last=True,
    )  # fmt: skip
    return Path(model.trainer.last)


def _store(trained: Path, output: Path) -> None:
    """Write the bare model in half precision, without the paths and settings of the machine."""
    import torch

    checkpoint: dict[str, Any] = torch.load(trained, map_location="cpu", weights_only=False)
    model = (checkpoint.get("ema") or checkpoint["model"]).half()
    model.args = {"task": "detect", "imgsz": IMAGE_SIZE}
    model.yaml["yaml_file"] = "yolo11-shapes.yaml"
    model.criterion = None
    output.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"model": model, "train_args": model.args, "version": checkpoint["version"]}, output)


def _held_out_map50(weights: Path, data: Path) -> float:
    from ultralytics.models import YOLO

    # ultralytics makes a folder for the results it is not asked to save: not in the working directory.
    folder = str(data.parent)
    result = YOLO(weights).val(data=str(data), imgsz=IMAGE_SIZE, device="cpu", plots=False, workers=0, project=folder)
    return float(result.box.map50)


def _export(weights: Path, folder: Path) -> None:
    """Replace what is committed: the export, as detection/model/weights.py makes it, and a drawing for it."""
    from ultralytics.models import YOLO

    # The export lands next to the weights.
    made = YOLO(shutil.copy(weights, folder / "shapes.pt")).export(format="openvino", dynamic=True, quantize=16)
    shutil.rmtree(SHAPES, ignore_errors=True)
    shutil.move(made, SHAPES)
    draw_sample().image.save(DRAWING, quality=90)


if __name__ == "__main__":
    sys.exit(main())
