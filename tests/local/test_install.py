"""The installation says how much it will be, and goes by the files that pin it."""

import pytest

from deploy.local import install
from tests.support import locks


@pytest.mark.parametrize(
    ("wanted", "cpu_build", "size"),
    [
        (install.RUNTIME, False, "about 250 MB to download, 770 MB on disk; a minute or so at 100 Mbit/s"),
        (install.TESTS, True, "about 630 MB to download, 2.3 GB on disk; 2 minutes or so at 100 Mbit/s"),
        (install.TESTS, False, "about 3.4 GB to download, 6.8 GB on disk; 9 minutes or so at 100 Mbit/s"),
    ],
)
def test_size_and_time_are_announced(wanted: install.Wanted, cpu_build: bool, size: str) -> None:
    assert install.announcement(wanted, cpu_build) == f"installing into .venv, once: {size}"


def test_demo_installs_no_pytorch() -> None:
    names = {name for lock in install.RUNTIME.locks for name in locks.names(install.ROOT / lock)}
    assert not install.RUNTIME.torch
    assert [name for name in names if "torch" in name or "ultralytics" in name] == []
