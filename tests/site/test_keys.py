"""Keys are checked at once, however slow Secrets Manager is and however many wrong keys arrive."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.conf import settings

from botsite import keys


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Make Secrets Manager accept connections and never answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "test")
        monkeypatch.setattr(settings, "AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setattr(settings, "SECRET_OF", {"RESULTS_KEY": "objdet/results-key"})
        monkeypatch.setattr(settings, "RESULTS_KEY", "good")
        yield server


def test_silent_secrets_manager_delays_one_stranger_only(silent: socket.socket) -> None:
    key = keys.Key("RESULTS_KEY")
    with ThreadPoolExecutor() as pool:
        first = pool.submit(key.fits, "wrong".__eq__)
        looking, _ = silent.accept()
        assert [key.fits(each.__eq__) for each in ("good", "other", "good")] == [True, False, True]
        assert not first.done()
        looking.close()
        silent.close()
        assert first.result() is False


def test_looking_for_newer_key_delays_nobody(silent: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_FRESH_SECONDS", 0.0)
    key = keys.Key("RESULTS_KEY")
    assert key.fits_now("good".__eq__)
    looking, _ = silent.accept()
    assert [key.fits_now("good".__eq__), key.newest()] == [True, "good"]
    looking.close()
