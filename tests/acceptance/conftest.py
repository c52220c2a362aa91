"""An emulated AWS for each module, in which runs take place."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.support import emulators


@pytest.fixture(scope="module")
def cloud() -> Iterator[str]:
    """An emulated AWS, which the code under test uses as AWS: whoever visits a load balancer there has no keys."""
    with emulators.ministack(emulators.NOBODYS) as url:
        yield url


@pytest.fixture
def prefix(cloud: str) -> str:
    """A prefix that nobody has: tests share the emulator, but nothing in it."""
    return f"accept-{uuid4().hex[:6]}"
