"""An emulated AWS for each module, in which runs take place."""

import itertools
import os
from collections.abc import Iterator

import pytest

from tests.support import emulators

numbers = itertools.count(1)


@pytest.fixture(scope="module")
def cloud() -> Iterator[str]:
    """The emulated AWS of those whom a load balancer lets in, which the code under test uses as AWS."""
    with emulators.ministack(emulators.NOBODYS) as url:
        yield url


@pytest.fixture
def prefix(cloud: str) -> str:
    """A prefix that nobody has: the processes of a run share the account, but nothing in it."""
    return f"accept-{os.environ.get('PYTEST_XDIST_WORKER', 'gw0')}-{next(numbers)}"
