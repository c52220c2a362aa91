"""No request costs a site more than a megabyte or more than its time."""

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from botsite import request_limits
from tests.support import new_updates
from tests.support.cases import slow_after
from tests.support.lone_site import LoneSite, lone_site, megabytes
from tests.support.processes import wait_until

MEGABYTE = bytes(1024**2)
CHUNK = b"100000\r\n" + MEGABYTE + b"\r\n"
SECRET = "X-Telegram-Bot-Api-Secret-Token"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoneSite]:
    with lone_site(tmp_path_factory.mktemp("site")) as site:
        # It listens before it has loaded everything.
        assert site.send("GET /healthz HTTP/1.1") == 200
        yield site


@pytest.mark.parametrize(
    "line",
    [
        "GET /results?predictionId=1",
        "GET /healthz",
        "POST /telegram/webhook",
        "GET /telegram/webhook",
        "POST /admin/login/",
        "PUT /nowhere",
    ],
)
def test_large_bodies_of_strangers_are_rejected(site: LoneSite, line: str) -> None:
    before = megabytes(site.pid)
    head = f"{line} HTTP/1.1\r\n{SECRET}: wrong\r\nContent-Length: {300 * 1024**2}"
    assert site.send(head, [MEGABYTE] * 300) == 413
    assert megabytes(site.pid) - before < 15


@pytest.mark.parametrize(("path", "status"), [("/results", 413), ("/admin/login/", 413), ("/telegram/webhook", 403)])
def test_bodies_without_length_are_counted(site: LoneSite, path: str, status: int) -> None:
    before = megabytes(site.pid)
    head = f"POST {path} HTTP/1.1\r\nTransfer-Encoding: chunked"
    assert site.send(head, [CHUNK] * 300) == status
    assert megabytes(site.pid) - before < 15


@pytest.mark.parametrize("framing", ["Content-Length: 314572800", "Transfer-Encoding: chunked"])
def test_large_update_is_ignored(site: LoneSite, framing: str) -> None:
    before, lines = megabytes(site.pid), ignored(site)
    head = f"POST /telegram/webhook HTTP/1.1\r\n{framing}\r\n{SECRET}: {site.secret}"
    body = [CHUNK] * 300 + [b"0\r\n\r\n"] if "chunked" in framing else [MEGABYTE] * 300
    assert site.send(head, body) == 200
    assert megabytes(site.pid) - before < 15
    assert ignored(site) == lines + 1


def ignored(site: LoneSite) -> int:
    return site.log.read_text().count("update_ignored")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("framing", ["Content-Length: 1", "Transfer-Encoding: chunked"])
def test_get_with_body_is_rejected(site: LoneSite, method: str, framing: str) -> None:
    assert site.send(f"{method} /healthz HTTP/1.1\r\n{framing}") == 400


def test_wrong_secret_is_rejected_before_body(site: LoneSite) -> None:
    head = f"POST /telegram/webhook HTTP/1.1\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n{SECRET}: wrong"
    assert site.send(head) == 403


def test_websocket_is_rejected_without_traceback(site: LoneSite) -> None:
    upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13"
    assert site.send(f"GET /x HTTP/1.1\r\n{upgrade}\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==") == 403
    assert "Traceback" not in site.log.read_text()


def test_ordinary_bodies_pass(site: LoneSite) -> None:
    body = json.dumps(new_updates.with_message(1, new_chat_title="x")).encode()
    head = f"POST /telegram/webhook HTTP/1.1\r\nContent-Length: {len(body)}\r\n{SECRET}: {site.secret}"
    assert site.send(head, [body]) == 200
    assert site.send("POST /admin/login/ HTTP/1.1\r\nContent-Length: 3", [b"a=b"]) == 403  # Without a CSRF token.


def test_strangers_share_a_few_megabytes(site: LoneSite) -> None:
    before = megabytes(site.pid)
    with ExitStack() as open_ones:
        for _ in range(100):
            connection = open_ones.enter_context(socket.create_connection(("127.0.0.1", site.port), timeout=60))
            connection.sendall(b"POST /admin/login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1048576\r\n\r\n")
            try:
                connection.sendall(MEGABYTE[:-1])
            except (BrokenPipeError, ConnectionResetError):
                break
        assert megabytes(site.pid) - before < 60
    wait_until(lambda: site.send("POST /admin/login/ HTTP/1.1\r\nContent-Length: 3", [b"a=b"]) == 403)


@pytest.mark.parametrize("line", [f"X-A: {'x' * 8000}\r\n", "x" * 8000], ids=["many", "one"])
def test_endless_headers_are_rejected(site: LoneSite, line: str) -> None:
    before = megabytes(site.pid)
    assert site.send("GET /healthz HTTP/1.1\r\n" + line * 2500) in (0, 400, 431)
    assert megabytes(site.pid) - before < 15


@pytest.mark.parametrize("start", slow_after(1, [b"", b"GET /healthz HTTP/1.1\r\nX-"]))
def test_slow_headers_time_out(site: LoneSite, start: bytes) -> None:
    with socket.create_connection(("127.0.0.1", site.port), timeout=90) as connection:
        connection.sendall(start)
        assert connection.recv(1) == b""


def test_slow_body_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_limits, "BODY_SECONDS", 0.05)
    monkeypatch.setattr(request_limits, "_LINGER_SECONDS", 0.05)
    sent: list[Any] = []

    async def drip() -> dict[str, Any]:
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b"x", "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    async def read_all(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["more_body"]:
            pass

    scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
    asyncio.run(request_limits.BoundedBodies(read_all)(scope, drip, send))
    assert [message.get("status") for message in sent] == [408, None]
