"""Convert YOLOX's ONNX file to the OpenVINO folder that the worker runs, with OpenVINO alone.

What YOLOX leaves to its caller becomes part of the network: the colour order, the scale, and the decoding of boxes. So
the folder takes and gives what an export of ultralytics does (openvino.py), in images of any shape.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from botsite import language
from detection.model import weights

# From this confidence on, what it finds is shown, unless somebody asks for another.
CONFIDENCE = 0.35
_STRIDES = (8, 16, 32)
# The sizes by the channels that their first convolution makes.
_SIZES = {16: "Nano", 24: "Tiny", 32: "S"}
_LABELS = tuple(language.PLURALS)


def export(network: Path, calibration: Path | None = None) -> Path:
    """Return `network` as a model folder in fp16, made once and kept in the cache. Raise WeightsRefused."""
    if calibration:
        raise weights.WeightsRefused(f"{network} can't be calibrated: --calibration is for .pt files.")
    target = weights.exported(network, "fp16")
    if not target.is_dir():
        convert(network, target)
    return target


def convert(network: Path, folder: Path) -> None:
    """Write YOLOX's ONNX `network` as the OpenVINO model folder that the worker runs.

    Raise weights.WeightsRefused with a sentence for any other file. The folder is written once, in one step.
    """
    ov = weights.openvino()
    model = _read(network)
    size = _recognised(network, model)
    square = [int(side) for side in model.input().shape][2:]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        made = Path(temporary) / folder.name
        made.mkdir()
        ov.save_model(_complete(ov, model), made / f"yolox_{size.lower()}.xml", compress_to_fp16=True)
        (made / "metadata.yaml").write_text(yaml.safe_dump(_about(size, square), sort_keys=False))
        weights.keep(made, folder)


def _read(network: Path) -> Any:
    if network.suffix != ".onnx":
        raise weights.WeightsRefused(f"{network} is no .onnx file, which is what YOLOX is converted from.")
    try:
        return weights.core().read_model(network)
    except RuntimeError as error:
        raise weights.WeightsRefused(f"OpenVINO can't read {network}: it is missing, damaged, or no ONNX.") from error


def _recognised(network: Path, model: Any) -> str:
    """Return which YOLOX this is; raise WeightsRefused for anything else, and for one that can't be converted."""
    kinds = [node.get_type_name() for node in model.get_ordered_ops()]
    if not _has_layout(model):
        raise weights.WeightsRefused(
            f"{network} is no YOLOX of {len(_LABELS)} classes: it takes and gives something else."
        )
    if "Exp" in kinds:
        raise weights.WeightsRefused(f"{network} decodes its boxes: export YOLOX without --decode_in_inference.")
    first = next(node for node in model.get_ordered_ops() if node.get_type_name() == "Convolution")
    channels = first.get_output_partial_shape(0)[1].get_length()
    if channels not in _SIZES:
        raise weights.WeightsRefused(f"{network} is not YOLOX-Nano, Tiny or S: it begins with {channels} channels.")
    return _SIZES[channels]


def _has_layout(model: Any) -> bool:
    """Return whether it takes one image and gives, for each cell of three grids, a box, a score, and the classes'."""
    if (len(model.inputs), len(model.outputs)) != (1, 1) or model.is_dynamic():
        return False
    taken, given = list(model.input().shape), list(model.output().shape)
    if taken[:2] != [1, 3] or len(taken) != 4 or any(side % max(_STRIDES) for side in taken[2:]):
        return False
    cells = sum((taken[2] // stride) * (taken[3] // stride) for stride in _STRIDES)
    return given == [1, cells, 5 + len(_LABELS)]


def _complete(ov: Any, model: Any) -> Any:
    """Return the network with RGB from 0 to 1 in images of any shape going in, and decoded boxes coming out."""
    op = ov.opset13
    model.reshape([1, 3, -1, -1])
    image = op.parameter([1, 3, -1, -1], np.float32, name="images")
    bgr = op.multiply(op.gather(image, _whole([2, 1, 0]), _whole(1)), np.float32(255))
    users = model.input().get_target_inputs()
    for user in users:
        user.replace_source_output(bgr.output(0))
    result = op.result(_decoded(op, image, model.output().get_node().input_value(0)))
    result.output(0).set_names({"output0"})
    return ov.Model([result], [image], "yolox")


def _decoded(op: Any, image: Any, raw: Any) -> Any:
    """Return (1, 4 + classes, cells) of (1, cells, 5 + classes): boxes in pixels, and scores of their classes."""
    cells, strides = _grid(op, image)
    place, extent, objectness, scores = op.variadic_split(raw, _whole(2), _whole([2, 2, 1, len(_LABELS)])).outputs()
    centre, size = op.multiply(op.add(place, cells), strides), op.multiply(op.exp(extent), strides)
    return op.transpose(op.concat([centre, size, op.multiply(scores, objectness)], 2), _whole([0, 2, 1]))


def _grid(op: Any, image: Any) -> tuple[Any, Any]:
    """Return column and row (cells, 2) and the stride (cells, 1) of each cell, by rows of the finest grid first."""
    shape = op.shape_of(image)
    cells, strides = [], []
    for stride in _STRIDES:
        down, across = (op.divide(op.gather(shape, _whole(axis), _whole(0)), _whole(stride)) for axis in (2, 3))
        numbers = op.unsqueeze(op.range(_whole(0), op.multiply(down, across), _whole(1), "i64"), _whole(1))
        cells.append(op.concat([op.floor_mod(numbers, across), op.divide(numbers, across)], 1))
        strides.append(op.broadcast(_whole(stride), op.shape_of(numbers)))
    return tuple(op.convert(op.concat(parts, 0), "f32") for parts in (cells, strides))


def _whole(value: int | list[int]) -> Any:
    return np.array(value, np.int64)


def _about(size: str, square: list[int]) -> dict[str, Any]:
    """Return what the folder says of itself, in the words of ultralytics' exports."""
    return {
        "description": f"YOLOX-{size}, which knows everyday objects (COCO)",
        "source": "Megvii YOLOX",
        "license": "Apache-2.0",
        "task": "detect",
        "stride": max(_STRIDES),
        "batch": 1,
        "channels": 3,
        "imgsz": square,
        "confidence": CONFIDENCE,
        "names": dict(enumerate(_LABELS)),
        "args": {"dynamic": True, "nms": False, "batch": 1},
    }
