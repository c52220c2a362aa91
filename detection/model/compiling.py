"""Compile a model for one size of its input, or take it from the cache in half the time.

OpenVINO has a cache of its own (CACHE_DIR), which is not used: it writes into files that other processes may have
mapped, and runs a damaged one.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings

from detection.model import weights
from detection.model.letterbox import Size

log = structlog.get_logger()

# Raise it when the model is prepared differently before it is compiled.
_VERSION = 1
# A thread for each core, free to move: the threads of two sizes would otherwise be bound to the same core.
_DEVICE, _OPTIONS = "CPU", {"PERFORMANCE_HINT": "THROUGHPUT", "ENABLE_CPU_PINNING": False}
_DIGEST_BYTES = 32


def load(network: Path, size: Size, prepare: Callable[[Any, Any], Any]) -> Any:
    """Return an OpenVINO network (.xml), compiled for images of (height, width).

    `prepare` has openvino and the network, and returns it with what its family does to an image.
    """
    ov, core = weights.openvino(), weights.core()
    file = _file(network, size, prepare)
    if blob := _read(file):
        try:
            return core.import_model(blob, _DEVICE, _OPTIONS)
        except RuntimeError as error:
            # It says which CPU and which OpenVINO it is for.
            log.info("compiled_model_refused", file=file.name, error=str(error))
    model = core.read_model(network)
    model.reshape([1, 3, *size])
    compiled = core.compile_model(prepare(ov, model), _DEVICE, _OPTIONS)
    _write(file, compiled)
    return compiled


def _file(network: Path, size: Size, prepare: Callable[..., Any]) -> Path:
    """Return where the cache has, or would have, the model for this size. The name depends on all that went into it."""
    digest = hashlib.sha256(repr((_VERSION, _OPTIONS, prepare.__module__)).encode())
    for part in (network, network.with_suffix(".bin")):
        digest.update(part.read_bytes())
    cache: Path = settings.CACHE_DIR / "compiled"
    return cache / f"{network.stem}-{digest.hexdigest()[:12]}-{size[0]}x{size[1]}"


def _read(file: Path) -> bytes | None:
    """Return the compiled model in a file; None if the file is missing or damaged."""
    try:
        content = file.read_bytes()
    except OSError:
        return None
    digest, blob = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    return blob if hashlib.sha256(blob).digest() == digest else None


def _write(file: Path, compiled: Any) -> None:
    """Keep a compiled model, in one step: other processes read the file meanwhile."""
    part = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        blob = compiled.export_model().getvalue()
        file.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(hashlib.sha256(blob).digest() + blob)
        part.replace(file)
    except (OSError, RuntimeError) as error:
        log.warning("compiled_model_not_kept", file=str(file), error=str(error))
