"""Write ONNX files with the layout of YOLOX and random weights, byte by byte: no package is needed for it."""

import numpy as np

# The numbers of fields and types are those of onnx.proto.
_FLOAT, _INT64, _INT, _INTS = 1, 7, 2, 7


def yolox(channels: int, *, given: int = 85, side: int = 416, decoded: bool = False) -> bytes:
    """Return a network with so many channels in its stem, which gives so many numbers for each cell of three grids."""
    rng = np.random.default_rng(channels)
    tensors = {"stem": rng.normal(0, 0.5, (channels, 3, 1, 1)), "flat": np.array([1, given, -1])}
    nodes = [_node("Conv", ["images", "stem"], "seen", strides=[8, 8])]
    for step in (1, 2, 4):
        tensors[f"head{step}"] = rng.normal(0, 0.5 / 255 / channels**0.5, (given, channels, 1, 1))
        nodes.append(_node("Conv", ["seen", f"head{step}"], f"grid{step}", strides=[step, step]))
        nodes.append(_node("Reshape", [f"grid{step}", "flat"], f"cells{step}"))
    nodes.append(_node("Concat", [f"cells{step}" for step in (1, 2, 4)], "all", axis=2))
    nodes.append(_node("Exp" if decoded else "Identity", ["all"], "scored"))
    nodes.append(_node("Transpose", ["scored"], "output", perm=[0, 2, 1]))
    cells = sum((side // stride) ** 2 for stride in (8, 16, 32))
    graph = [_field(1, node) for node in nodes] + [_field(2, "yolox")]
    graph += [_field(5, _tensor(name, values)) for name, values in tensors.items()]
    graph += [_field(11, _value("images", [1, 3, side, side])), _field(12, _value("output", [1, cells, given]))]
    return _field(1, 7) + _field(7, b"".join(graph)) + _field(8, _field(1, "") + _field(2, 11))


def _node(kind: str, taken: list[str], given: str, **attributes: int | list[int]) -> bytes:
    parts = [_field(1, name) for name in taken] + [_field(2, given), _field(4, kind)]
    for name, value in attributes.items():
        if isinstance(value, int):
            content = _field(3, value) + _field(20, _INT)
        else:
            content = b"".join(_field(8, each) for each in value) + _field(20, _INTS)
        parts.append(_field(5, _field(1, name) + content))
    return b"".join(parts)


def _tensor(name: str, values: np.ndarray) -> bytes:
    whole = values.dtype.kind == "i"
    dims = b"".join(_field(1, size) for size in values.shape)
    raw = values.astype(np.int64 if whole else np.float32).tobytes()
    return dims + _field(2, _INT64 if whole else _FLOAT) + _field(8, name) + _field(9, raw)


def _value(name: str, shape: list[int]) -> bytes:
    dims = b"".join(_field(1, _field(1, size)) for size in shape)
    return _field(1, name) + _field(2, _field(1, _field(1, _FLOAT) + _field(2, dims)))


def _field(number: int, value: int | str | bytes) -> bytes:
    """Return a field of a message: a number, or bytes after their length."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    digits = [value & 127]
    while value := value >> 7:
        digits.append(value & 127)
    return bytes([*(digit | 128 for digit in digits[:-1]), digits[-1]])
