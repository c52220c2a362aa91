"""Drain a site: gunicorn's ASGI worker, which finishes what was begun before it ends."""

from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from gunicorn.asgi.protocol import ASGIProtocol
from gunicorn.workers import gasgi

from botsite import in_flight

Application = Callable[..., Coroutine[Any, Any, None]]

# For calls of AWS. asyncio's own few are soon taken by uploads to a slow S3, and health checks and answers would wait.
_THREADS = 64
# From the opening of a connection to the end of its first request's headers.
_HEADERS_SECONDS = 10.0


class _Protocol(ASGIProtocol):
    """Close a connection whose first headers do not come: gunicorn bounds their size, and only later ones' time."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        # gunicorn cancels this timer as soon as it has a request.
        self._keepalive_handle = self.worker.loop.call_later(_HEADERS_SECONDS, self._keepalive_timeout)


# The worker makes its connections by this name and offers no other way.
gasgi.ASGIProtocol = _Protocol


class Worker(gasgi.ASGIWorker):
    """Wait for requests and sends, not for connections.

    gunicorn's own waits for connections, idle ones too, until it is killed. Without any it cancels what still runs: a
    photo that is on its way to Telegram, for a caller that has hung up, would be sent again.
    """

    def load_wsgi(self) -> None:
        """Load the application, and keep track of its requests."""
        super().load_wsgi()
        self.loop.set_default_executor(ThreadPoolExecutor(_THREADS, "aws"))
        self.asgi: Application = _tracked(self.asgi)

    async def _shutdown(self) -> None:
        """Take no connection, finish what is under way, then close the idle connections.

        gunicorn's arbiter counts `graceful_timeout` from the signal, and kills what is left by then.
        """
        for server in self.servers:
            server.close()
        self.log.info("Draining")
        await in_flight.finished()
        self._quick_shutdown = True
        await super()._shutdown()


def _tracked(application: Application) -> Application:
    async def tracked(scope: dict[str, Any], *channels: Any) -> None:
        call = application(scope, *channels)
        await (in_flight.start(call) if scope["type"] == "http" else call)

    return tracked
