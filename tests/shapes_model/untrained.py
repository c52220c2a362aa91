"""Make a network that nobody trained, for tests of exporting: what it sees means nothing; an export sees the same."""

from pathlib import Path
from typing import Any

import numpy as np

from detection.model import openvino
from detection.model.letterbox import Size
from detection.model.weights import ultralytics
from tests.shapes_model.draw import draw_photo, draw_sample
from tests.shapes_model.train import IMAGE_SIZE, architecture


def write(folder: Path) -> Path:
    """Write a network of random weights whose answers differ from place to place; return its .pt file."""
    yolo = ultralytics().YOLO
    import torch

    torch.manual_seed(0)
    model = yolo(architecture(folder))
    drawings = np.stack([np.asarray(draw_photo(seed, IMAGE_SIZE, IMAGE_SIZE).image) for seed in range(4)])
    for layer in model.model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 0.25  # Normalised by these drawings alone, it would answer to the least rounding.
    with torch.no_grad():
        model.model.train()(torch.from_numpy(drawings).permute(0, 3, 1, 2) / 255)
    model.model.args = {"task": "detect", "imgsz": IMAGE_SIZE}
    file = folder / "untrained.pt"
    model.save(file)
    return file


def agreement(file: Path, export: Path, size: Size) -> float:
    """Return the least correlation between a row of the export's answers and the network's: 1 if they are equal."""
    image = np.asarray(draw_sample().image.resize(size[::-1]))
    expected = _answers(file, image)
    # The worker gives it the bytes of a BGR image.
    found = (
        openvino.compiled(export, size).create_infer_request().infer([np.ascontiguousarray(image[None, ..., ::-1])])[0]
    )
    assert found[0].shape == expected.shape
    assert min(expected.std(axis=1) / np.abs(expected).mean(axis=1)) > 0.1
    return min(float(np.corrcoef(one, other)[0, 1]) for one, other in zip(found[0], expected, strict=True))


def _answers(file: Path, image: Any) -> Any:
    """Return what PyTorch computes: (4 + labels, places)."""
    import torch

    model = ultralytics().YOLO(file).model.float().eval()
    with torch.no_grad():
        return model(torch.from_numpy(image.copy()).permute(2, 0, 1)[None] / 255)[0][0].numpy()
