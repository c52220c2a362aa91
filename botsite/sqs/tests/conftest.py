"""One emulated SQS for each process of the tests."""

from collections.abc import Iterator

import pytest

from .support.worker import Aws, running_emulator, taken_for_aws


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers, which outside their repository nobody has declared."""
    config.addinivalue_line("markers", "slow: starts processes of its own, or takes long")
    config.addinivalue_line("markers", "smoke: of a slow file, but quick")


@pytest.fixture(scope="session")
def emulator() -> Iterator[str]:
    """Run an emulated AWS; return its address."""
    with running_emulator() as url:
        yield url


@pytest.fixture(scope="module")
def aws(emulator: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """Have this process and its children take the emulated AWS for AWS."""
    with taken_for_aws(emulator, tmp_path_factory.mktemp("aws")) as aws:
        yield aws
