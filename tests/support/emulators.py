"""Start an emulated AWS, and let the code under test take it for AWS; start a fake Telegram."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from django.conf import settings
from django.core.files.storage import default_storage, storages
from django.utils.functional import empty

from botsite import aws, secret_store
from deploy.local.ministack import COMMAND, environment
from tests.support.processes import free_port, listening, start, wait_until

TOKEN = "123456:not-a-real-token"


@contextmanager
def ministack(scheme: str = "http", **env: str) -> Iterator[str]:
    """Run ministack, set up by `env` too, for the length of a `with` block; yield its address."""
    port = free_port()
    with (
        start(COMMAND, environment(port) | env),
        taken_for_aws(f"{scheme}://127.0.0.1:{port}") as url,
    ):
        wait_until(lambda: listening(port))
        yield url


@contextmanager
def moto() -> Iterator[str]:
    """Run moto's server for the length of a `with` block; yield its address."""
    port = free_port()
    command = [str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", str(port)]
    with start(command), taken_for_aws(f"http://127.0.0.1:{port}") as url:
        wait_until(lambda: listening(port))
        yield url


@contextmanager
def telegram() -> Iterator[str]:
    """Run the fake Telegram, with one bot that has TOKEN, for the length of a `with` block; yield its address."""
    port = free_port()
    command = [sys.executable, "-m", "deploy.local.telegram", "--port", str(port), "--time-scale", "0.01"]
    with start(command, {"TELEGRAM_TOKEN": TOKEN}):
        wait_until(lambda: listening(port))
        yield f"http://127.0.0.1:{port}"


@contextmanager
def taken_for_aws(url: str) -> Iterator[str]:
    """Have the code under test find AWS at `url` for the length of a `with` block."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        patch.setattr(settings, "AWS_ENDPOINT_URL", url)
        patch.setattr(settings, "AWS_REGION", "us-east-1")
        forget_clients()
        yield url
    forget_clients()


@contextmanager
def put_back() -> Iterator[None]:
    """Put back, after the block, the environment and the settings that a stack within it has adopted."""
    environment = dict(os.environ)
    kept = {name: getattr(settings, name) for name in dir(settings) if name.isupper()}
    forget_clients()
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(environment)
        for name, value in kept.items():
            if getattr(settings, name) is not value:
                setattr(settings, name, value)
        forget_clients()


def forget_clients() -> None:
    """Drop the clients of another endpoint, and the storage of its bucket: the factories keep what they have made."""
    cast(Any, storages)._storages.clear()
    cast(Any, default_storage)._wrapped = empty
    aws._client.cache_clear()
    aws._resource.cache_clear()
    secret_store._client.cache_clear()
