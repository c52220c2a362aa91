"""Stand in for the site: answer `/results` after a while, and remember when each call came.

    python -m tests.bench.receiver --port 8080 --delay-ms 200

It is a process of its own, so that waiting for it costs the measured worker nothing.
"""

import argparse
import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import httpx
from aiohttp import web

from deploy.local.processes import Child, ChildFailed

HOST = "127.0.0.1"
# Asking costs the cores that are measured a millisecond.
_POLL_SECONDS = 0.25


def application(delay_seconds: float) -> web.Application:
    """Return the site: `/results?predictionId=`, and for the bench `/count` and `/calls`."""
    calls: list[tuple[str, float]] = []

    async def results(request: web.Request) -> web.Response:
        calls.append((request.query["predictionId"], time.monotonic()))
        await asyncio.sleep(delay_seconds)
        return web.Response()

    async def count(request: web.Request) -> web.Response:
        return web.json_response(len(calls))

    async def all_calls(request: web.Request) -> web.Response:
        return web.json_response(calls)

    site = web.Application()
    site.add_routes([web.get("/results", results), web.get("/count", count), web.get("/calls", all_calls)])
    return site


class Calls:
    """What a receiver has heard so far."""

    def __init__(self, address: str) -> None:
        self._site = httpx.Client(base_url=address, timeout=10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._site.close()

    def wait_for(
        self, number: int, child: Child, seconds: float = 180, meanwhile: Callable[[], object] = lambda: None
    ) -> None:
        """Wait until `number` calls have come, with `meanwhile()` at each look. Raise ChildFailed if `child` fails."""
        deadline = time.monotonic() + seconds
        while self._site.get("/count").json() < number:
            if not child.running or time.monotonic() > deadline:
                lines = "\n".join(list(child.lines)[-15:])
                raise ChildFailed(f"{child.name} ended, or took more than {seconds:g} s. Its last lines:\n{lines}")
            meanwhile()
            time.sleep(_POLL_SECONDS)

    def times(self) -> dict[str, float]:
        """Return when each prediction was first called for (monotonic seconds, the same clock in all processes)."""
        heard = self._site.get("/calls").json()
        return dict(reversed(heard))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--delay-ms", type=float, default=0, help="how long Telegram and the site take (milliseconds)")
    options = parser.parse_args()
    site = application(options.delay_ms / 1000)
    web.run_app(site, host=HOST, port=options.port, access_log=None, print=lambda *_: None)
