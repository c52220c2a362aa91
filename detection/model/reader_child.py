"""Read what is written in a photo, and its bar codes, as decoder_child.py decodes images: in a confined process.

The networks are PP-OCR's, out of the package rapidocr, whose code isn't used: they run on OpenVINO, compiled for one
size at a time, which takes a quarter of the memory. A request is as decoder_child.py's; a reply is a code, the number
of bytes and 1, and the text in UTF-8. The process reads one photo, and is ended then.
"""

import ctypes
import runpy
import struct
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openvino as ov
import simplejpeg

# Where the rest is (detection/model/reading.py).
sys.path.extend(sys.argv[2:3])
zxingcpp: Any = import_module("zxingcpp")
_confined = runpy.run_path(str(Path(__file__).with_name("confined.py")), run_name="confined")
_REQUEST, _REPLY = struct.Struct("!QIB"), struct.Struct("!BII")
_DONE, _DAMAGED = 0, 3
# A page of 120 lines takes 10 s.
_CPU_SECONDS, _ADDRESS_SPACE = 30, 1 << 30
# Longer side of the photo, and of what the first network sees, in pixels.
_SIDE, _FOUND_SIDE = 1600, 960
# Lines are so high for the second network, and so wide; longer ones are squeezed.
_HEIGHT, _WIDTHS = 48, (320, 640, 1280, 2048)
_LINES_AT_MOST, _BYTES_AT_MOST = 200, 16_000
# Of PP-OCR: what counts as text, how much larger than its core a line is, how sure a line has to be.
_TEXT, _LINE, _LARGER, _SURE = 0.3, 0.5, 1.6, 0.5
# A line whose middle is within so much of another's height stands beside it.
_BESIDE = 0.5
_ENDS = ("top_left", "top_right", "bottom_right", "bottom_left")


def main() -> None:
    """Serve until the parent closes stdin or ends."""
    libc, reader = ctypes.CDLL(None), _Reader(Path(sys.argv[3]))
    _confined["shut_in"](libc, _ADDRESS_SPACE)
    with open(0, "rb", closefd=False) as requests, open(1, "wb", closefd=False) as replies:
        _reply(replies, _DONE)
        while head := requests.read(_REQUEST.size):
            _confined["limit_cpu"](_CPU_SECONDS)
            photo = requests.read(_REQUEST.unpack(head)[0])
            _reply(replies, _DONE)
            try:
                image = _small(simplejpeg.decode_jpeg(photo, "BGR"), _SIDE)
            except ValueError:
                _reply(replies, _DAMAGED)
                continue
            codes, apart = _codes(image)
            text = "\n".join([*reader.lines(image, apart), *codes]).encode()[:_BYTES_AT_MOST]
            # An empty reply has no bytes to wait for.
            _reply(replies, _DONE, text or b"\n")


def _reply(replies: Any, code: int, text: bytes = b"") -> None:
    replies.write(_REPLY.pack(code, len(text), 1 if text else 0) + text)
    replies.flush()


class _Reader:
    """The two networks: one finds lines, the other reads them."""

    def __init__(self, models: Path) -> None:
        self._core = ov.Core()
        self._core.set_property("CPU", {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1})
        self._finding, self._reading = (
            self._core.read_model(models / f"PP-OCRv6_{kind}_small.onnx") for kind in ("det", "rec")
        )
        letters = self._reading.get_rt_info(["framework", "character"]).astype(str)
        self._letters = ["", *letters.splitlines(), " "]
        # This loads all that later cannot be opened.
        self._run(self._finding, [np.zeros((32, 32, 3), np.uint8)])

    def lines(self, image: Any, apart: list[Any]) -> Iterator[str]:
        """Yield the lines of text in a BGR image, from top to bottom, without those in the areas `apart`."""
        found = [corners for corners in self._found(image) if not any(_within(corners, area) for area in apart)]
        strips = [_cut(image, corners) for corners in _in_order(found)]
        widths = [min((width for width in _WIDTHS if width >= strip.shape[1]), default=_WIDTHS[-1]) for strip in strips]
        said: dict[int, str] = {}
        for width in sorted(set(widths)):
            places = [place for place, its in enumerate(widths) if its == width]
            scores = self._run(self._reading, [_padded(strips[place], width) for place in places])
            said |= {place: self._spelled(each) for place, each in zip(places, scores, strict=True)}
        yield from filter(None, (said[place].strip() for place in range(len(strips))))

    def _run(self, network: Any, images: list[Any]) -> list[Any]:
        """Return what a network makes of images of one size."""
        model = network.clone()
        height, width = images[0].shape[:2]
        model.reshape([1, 3, height, width])
        request = self._core.compile_model(model, "CPU").create_infer_request()
        # It holds the weights once more.
        del model
        ctypes.CDLL(None).malloc_trim(0)
        found = []
        for image in images:
            request.infer([((image.astype(np.float32) / 127.5 - 1).transpose(2, 0, 1))[None]])
            output = request.get_output_tensor().data[0]
            # Of thousands of letters, the likeliest for each place.
            found.append(output[0].copy() if len(output) == 1 else (output.argmax(1), output.max(1)))
        return found

    def _found(self, image: Any) -> list[Any]:
        """Return the corners of each line, in pixels of the image."""
        height, width = image.shape[:2]
        shrink = min(1, _FOUND_SIDE / max(height, width))
        size = [max(32, round(side * shrink / 32) * 32) for side in (width, height)]
        (likely,) = self._run(self._finding, [cv2.resize(image, size)])
        cores, _ = cv2.findContours((likely > _TEXT).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
        found = []
        for core in cores:
            middle, (across, down), angle = cv2.minAreaRect(core)
            if min(across, down) < 3 or _mean(likely, cv2.boxPoints((middle, (across, down), angle))) < _LINE:
                continue
            more = across * down * _LARGER / (across + down)
            corners = cv2.boxPoints((middle, (across + more, down + more), angle))
            found.append(corners * (width / size[0], height / size[1]))
        return sorted(found, key=lambda corners: -cv2.contourArea(corners.astype(np.float32)))[:_LINES_AT_MOST]

    def _spelled(self, scores: tuple[Any, Any]) -> str:
        """Return the letters: repeats of an index are one letter, and index 0 is a blank (CTC)."""
        numbers, sure = scores
        new = (numbers != 0) & (np.diff(numbers, prepend=-1) != 0)
        return (
            "".join(self._letters[number] for number in numbers[new]) if new.any() and sure[new].mean() > _SURE else ""
        )


def _small(image: Any, side: int) -> Any:
    share = side / max(image.shape[:2])
    size = [max(1, round(length * share)) for length in image.shape[1::-1]]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA) if share < 1 else image


def _mean(likely: Any, corners: Any) -> float:
    left, top = np.floor(corners.min(0)).astype(int).clip(0)
    right, bottom = np.ceil(corners.max(0)).astype(int) + 1
    part = likely[top:bottom, left:right]
    inside = np.zeros(part.shape, np.uint8)
    cv2.fillPoly(inside, [(corners - (left, top)).astype(np.int32)], 1)
    return cv2.mean(part, inside)[0]


def _within(corners: Any, area: Any) -> bool:
    return cv2.pointPolygonTest(area, corners.mean(0).tolist(), measureDist=False) >= 0


def _in_order(lines: list[Any]) -> list[Any]:
    """Return lines from top to bottom; those beside one another from left to right."""
    rows: list[list[Any]] = []
    for corners in sorted(lines, key=lambda each: each[:, 1].mean()):
        height = np.ptp(rows[-1][0][:, 1]) if rows else 0
        if rows and abs(corners[:, 1].mean() - rows[-1][0][:, 1].mean()) < height * _BESIDE:
            rows[-1].append(corners)
        else:
            rows.append([corners])
    return [corners for row in rows for corners in sorted(row, key=lambda each: each[:, 0].min())]


def _cut(image: Any, corners: Any) -> Any:
    """Return a line as a strip, upright if it was nearly so."""
    by_x = corners[np.argsort(corners[:, 0])]
    (top_left, bottom_left), (top_right, bottom_right) = (pair[np.argsort(pair[:, 1])] for pair in (by_x[:2], by_x[2:]))
    across, down = (float(np.linalg.norm(end - top_left)) for end in (top_right, bottom_left))
    turned = down > 1.5 * across
    width, height = (down, across) if turned else (across, down)
    strip = [max(8, min(_WIDTHS[-1], round(_HEIGHT * width / max(height, 1)))), _HEIGHT]
    # A line that stands reads from its foot to its head.
    order = (
        [bottom_left, top_left, top_right, bottom_right] if turned else [top_left, top_right, bottom_right, bottom_left]
    )
    ends = np.array([[0, 0], [strip[0], 0], strip, [0, strip[1]]], np.float32)
    matrix = cv2.getPerspectiveTransform(np.array(order, np.float32), ends)
    return cv2.warpPerspective(image, matrix, strip, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _padded(strip: Any, width: int) -> Any:
    """Return a strip on the grey that the network takes for nothing."""
    wide = np.full((_HEIGHT, width, 3), 127, np.uint8)
    wide[:, : strip.shape[1]] = strip
    return wide


def _codes(image: Any) -> tuple[list[str], list[Any]]:
    """Return what bar codes say, behind their kind ("QR Code: https://..."), and their corners."""
    codes = [code for code in zxingcpp.read_barcodes(image) if code.valid and code.text]
    ends = [[getattr(code.position, end) for end in _ENDS] for code in codes]
    corners = [np.array([(end.x, end.y) for end in each], np.float32) for each in ends]
    return [f"{code.format}: {code.text}" for code in codes], corners


if __name__ == "__main__":
    main()
