"""Find the model's weights, fetch the default ones once, and export them to OpenVINO, which CPUs run fastest.

ultralytics is imported here and nowhere earlier, with everything off that it would do by itself: installing
packages, asking for updates, sending usage statistics.
"""

import importlib.util
import os
import shutil
import sys
import tempfile
import threading
from functools import cache
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings

from detection.model import checksums

log = structlog.get_logger()

_EXPORTED = "_openvino_model"
# `cache` alone would let two threads make a runtime each.
_ONE_CORE = threading.Lock()
_NEEDS_PYTORCH = (
    "Weights that are not yet exported to OpenVINO need ultralytics and PyTorch, which are not installed: run "
    "`make torch` (or `pip install -r requirements-torch.txt`), or name an exported model folder in YOLO_WEIGHTS."
)


class WeightsMissing(Exception):
    """The weights are missing and cannot be fetched; the text says what to do."""


class WeightsRefused(WeightsMissing):
    """The weights are not those that were named; the text says what to do."""


def can_export() -> bool:
    """Return whether ultralytics and PyTorch, which the worker does without, are installed."""
    return all(importlib.util.find_spec(name) for name in ("ultralytics", "torch"))


def ultralytics() -> Any:
    """Import ultralytics so that it keeps to itself: its settings in our cache, no network, no installing."""
    if not can_export():
        raise WeightsMissing(_NEEDS_PYTORCH)
    os.environ.setdefault("YOLO_CONFIG_DIR", str(settings.CACHE_DIR))
    os.environ.setdefault("YOLO_OFFLINE", "true")
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    os.environ.setdefault("YOLO_VERBOSE", "false")
    settings.CACHE_DIR.mkdir(parents=True, exist_ok=True)
    # Before ultralytics does.
    openvino()
    import ultralytics

    return ultralytics


def openvino() -> Any:
    """Import openvino, which would otherwise report to a statistics service."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def core() -> Any:
    """Return this process's OpenVINO runtime, from any thread.

    It has only one: where a second is dropped, OpenVINO 2026.4 leaves the main thread's signal stack in freed memory,
    and the next signal kills the process.
    """
    with _ONE_CORE:
        return _core()


@cache
def _core() -> Any:
    return openvino().Core()


def check(name: str) -> None:
    """Raise WeightsMissing if the path `name` doesn't exist, or is a `.pt` file that can't be exported here.

    A `.pt` file without a folder may be fetched yet.
    """
    path = Path(name)
    if not path.exists() and (path.suffix != ".pt" or path.parent != Path()):
        raise WeightsMissing(f"YOLO_WEIGHTS names {name}, which does not exist.")
    if path.suffix == ".pt" and not can_export() and not is_exported(path):
        raise WeightsMissing(_NEEDS_PYTORCH)


def ready(name: str) -> Path:
    """Return what the worker loads for `name`: an exported model as it is, a `.pt` file exported once and cached."""
    path = Path(name)
    if path.suffix != ".pt":
        check(name)
        return path
    found = locate(path, settings.YOLO_WEIGHTS_SHA256)
    calibrated = exported(found, "int8")
    return calibrated if calibrated.is_dir() else export(found)


def locate(path: Path, sha256: str = "") -> Path:
    """Return the file: where it says, else in the cache, else downloaded by ultralytics into the cache.

    Raise WeightsRefused if it has not the SHA-256 that is named, or that the published file of its name has. Nothing is
    downloaded without one.
    """
    check(str(path))
    wanted = _wanted(path, sha256)
    found = _at_hand(path) or _download(path, wanted)
    if wanted and (got := checksums.of(found)) != wanted:
        raise WeightsRefused(
            f"{found} has the SHA-256 {got}, and not {wanted}: it was not opened. Delete it to have it downloaded "
            "again; if it is your own, name its checksum (--sha256, or YOLO_WEIGHTS_SHA256)."
        )
    return found


def _wanted(path: Path, sha256: str) -> str:
    try:
        return checksums.expected(path, sha256)
    except ValueError as error:
        raise WeightsRefused(str(error)) from error


def _download(path: Path, wanted: str) -> Path:
    if not wanted:
        raise WeightsRefused(
            f"{path.name} is not here, and would be downloaded without a known checksum. Name its SHA-256 "
            "(--sha256, or YOLO_WEIGHTS_SHA256)."
        )
    cached = _cached(path)
    ultralytics()
    from ultralytics.utils.downloads import attempt_download_asset

    cached.parent.mkdir(parents=True, exist_ok=True)
    log.info("weights_download_started", weights=path.name)
    try:
        attempt_download_asset(cached)
    except (ConnectionError, OSError, RuntimeError) as error:
        raise WeightsMissing(_unreachable(path.name)) from error
    if not cached.is_file():
        raise WeightsMissing(_unreachable(path.name))
    return cached


def export(weights: Path, calibration: Path | None = None) -> Path:
    """Return `weights` as an OpenVINO model folder: fp16, or int8 if `calibration` (a data set's yaml) is given.

    It takes images of any shape, and is compiled for those that photos have (openvino.py). It is made once and kept in
    the cache under the weights' SHA-256.
    """
    precision = "int8" if calibration else "fp16"
    target = exported(weights, precision)
    if target.is_dir():
        return target
    log.info("weights_export_started", weights=weights.name, precision=precision)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        copy = shutil.copy(weights, Path(folder) / weights.name)
        options = {"quantize": 8, "data": str(calibration)} if calibration else {"quantize": 16}
        keep(Path(ultralytics().YOLO(copy).export(format="openvino", dynamic=True, **options)), target)
    log.info("weights_exported", model=target.name)
    return target


def keep(made: Path, target: Path) -> None:
    """Move a folder that is complete, in one step. One that another process made meanwhile stays: it may be in use."""
    try:
        made.rename(target)
    except OSError:
        if not target.is_dir():
            raise


def _at_hand(path: Path) -> Path | None:
    return next((candidate for candidate in (path, _cached(path)) if candidate.is_file()), None)


def _cached(path: Path) -> Path:
    folder: Path = settings.CACHE_DIR / "weights"
    return folder / path.name


def is_exported(path: Path) -> bool:
    """Return whether the `.pt` file, here or in the cache, was exported already."""
    found = _at_hand(path)
    return found is not None and any(exported(found, precision).is_dir() for precision in ("int8", "fp16"))


def exported(weights: Path, precision: str) -> Path:
    """Return where the cache has, or would have, the export of these weights."""
    return _cached(Path(f"{weights.stem}-{checksums.of(weights)[:12]}-{precision}{_EXPORTED}"))


def _unreachable(name: str) -> str:
    return (
        f"{name} is not here and could not be downloaded. Set YOLO_WEIGHTS to a .pt file or an exported model "
        "folder, or run `python manage.py export_weights` where there is a network."
    )
