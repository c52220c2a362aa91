"""An emulated AWS for each module, in which runs take place."""

import itertools
from collections.abc import Iterator

import pytest

from tests.support import emulators

numbers = itertools.count(1)


@pytest.fixture(scope="module")
def cloud() -> Iterator[str]:
    """An emulated AWS, which the code under test uses as AWS: whoever visits a load balancer there has no keys."""
    with emulators.ministack(emulators.NOBODYS) as url:
        yield url


@pytest.fixture
def prefix(cloud: str) -> str:
    """A prefix that nobody has: tests share the emulator, but nothing in it."""
    return f"accept-{next(numbers)}"
