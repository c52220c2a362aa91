"""An emulated EC2 for each module; a prefix, a place and builders for each test."""

import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.images.spec import BuilderPlace
from tests.support import baking, emulators
from tests.support.baking import Boot
from tests.support.builders import Machine


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """An emulated EC2 for this module."""
    with emulators.moto() as url:
        yield url


@pytest.fixture
def prefix(endpoint: str, request: pytest.FixtureRequest) -> str:
    """A prefix for this test: tests share the emulator, but nothing in it."""
    return f"try-{zlib.crc32(request.node.name.encode())}"


@pytest.fixture
def place(prefix: str) -> BuilderPlace:
    """Where the test's builders run."""
    return baking.place_of(prefix)


@pytest.fixture
def boot(endpoint: str, tmp_path: Path) -> Iterator[Boot]:
    """Return a function that boots the next launched instance."""
    machines: list[Machine] = []

    def start(prefix: str, broken: str = "") -> Machine:
        machines.append(Machine(prefix, tmp_path / f"machine-{len(machines)}", endpoint, broken))
        machines[-1].start()
        return machines[-1]

    yield start
    for machine in machines:
        machine.stop()
