"""Start an emulated AWS, and let the code under test take it for AWS; start a fake Telegram."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import boto3
import pytest
from django.conf import settings
from django.core.files.storage import default_storage, storages
from django.utils.functional import empty

from botsite import aws, secret_store
from deploy.local.ministack import COMMAND, environment
from tests.support import shared
from tests.support.processes import free_port, listening, start, wait_until

TOKEN = "123456:not-a-real-token"
# The account of who has no keys, such as a load balancer's visitors.
NOBODYS = "000000000000"


@contextmanager
def ministack(account: str = "") -> Iterator[str]:
    """Have the code under test use an account of its own of the run's emulated AWS, or this one; yield its address."""
    with taken_for_aws(shared.address("ministack", _ministack), account or shared.account()) as url, _told(url):
        yield url


@contextmanager
def own_ministack() -> Iterator[str]:
    """Have the code under test use an emulated AWS in which nobody else makes anything; yield its address."""
    with _ministack() as address, taken_for_aws(address) as url, _told(url):
        yield url


@contextmanager
def judging(scheme: str = "http", **env: str) -> Iterator[str]:
    """Run an AWS that checks permissions, set up by `env` too, for the length of a `with` block; yield its address."""
    with _ministack(scheme, AUTH="true", **env) as address, taken_for_aws(address) as url:
        yield url


@contextmanager
def moto() -> Iterator[str]:
    """Have the code under test use the run's moto server, in which all share everything; yield its address."""
    with taken_for_aws(shared.address("moto", own_moto)) as url:
        yield url


@contextmanager
def _ministack(scheme: str = "http", **env: str) -> Iterator[str]:
    port = free_port()
    with start(COMMAND, environment(port) | env):
        wait_until(lambda: listening(port))
        yield f"{scheme}://127.0.0.1:{port}"


@contextmanager
def own_moto() -> Iterator[str]:
    """Run a moto server in which nobody else makes anything, for the length of a `with` block; yield its address."""
    port = free_port()
    with start([str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", str(port)]):
        wait_until(lambda: listening(port))
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _told(url: str) -> Iterator[None]:
    """Have processes that this one starts find AWS there, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", url)
        patch.setenv("AWS_REGION", "us-east-1")
        yield


@contextmanager
def telegram() -> Iterator[str]:
    """Run the fake Telegram, with one bot that has TOKEN, for the length of a `with` block; yield its address."""
    port = free_port()
    command = [sys.executable, "-m", "deploy.local.telegram", "--port", str(port), "--time-scale", "0.01"]
    with start(command, {"TELEGRAM_TOKEN": TOKEN}):
        wait_until(lambda: listening(port))
        yield f"http://127.0.0.1:{port}"


@contextmanager
def taken_for_aws(url: str, account: str = "test") -> Iterator[str]:
    """Have the code under test find AWS at `url`, as somebody of this account, for the length of a `with` block."""
    with pytest.MonkeyPatch.context() as patch:
        # ministack takes twelve digits for the account's id.
        patch.setenv("AWS_ACCESS_KEY_ID", account)
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setattr(settings, "AWS_ENDPOINT_URL", url)
        patch.setattr(settings, "AWS_REGION", "us-east-1")
        forget_clients()
        yield url
    forget_clients()


def account() -> str:
    """Return the id of the account that the code under test uses."""
    key = os.environ["AWS_ACCESS_KEY_ID"]
    return key if key.isdecimal() else NOBODYS


def keys() -> dict[str, str]:
    """Return the credentials that the code under test uses."""
    return {name: os.environ[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}


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
    # It keeps the credentials that it found first.
    boto3.DEFAULT_SESSION = None
    aws._client.cache_clear()
    aws._resource.cache_clear()
    secret_store._client.cache_clear()
