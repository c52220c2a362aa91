"""gunicorn's ASGI worker, made to finish requests and sends before it ends."""

from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from gunicorn.asgi.protocol import ASGIProtocol
from gunicorn.workers import gasgi

from botsite import in_flight
from detection.work.reports import Reporter, State

Application = Callable[..., Coroutine[Any, Any, None]]

# For AWS calls. asyncio's default threads are soon taken by uploads to a slow S3; health checks and answers would wait.
_THREADS = 64
# From the opening of a connection to the end of its first request's headers.
_HEADERS_SECONDS = 10.0


class _Protocol(ASGIProtocol):
    """Close a connection whose first headers do not arrive: gunicorn limits only the time of later ones."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        # gunicorn cancels this timer as soon as it has a request.
        self._keepalive_handle = self.worker.loop.call_later(_HEADERS_SECONDS, self._keepalive_timeout)


# The worker looks its protocol up by this name; no other hook exists.
gasgi.ASGIProtocol = _Protocol


class Worker(gasgi.ASGIWorker):
    """Wait for requests and sends, not for connections.

    gunicorn's own worker waits for connections, even idle ones, until it is killed. Without any it cancels what still
    runs: a photo on its way to Telegram, whose caller has hung up, would be sent twice.
    """

    def load_wsgi(self) -> None:
        """Load the application, and keep track of its requests."""
        super().load_wsgi()
        self.loop.set_default_executor(ThreadPoolExecutor(_THREADS, "aws"))
        self.asgi: Application = _tracked(self.asgi)
        # Each of a site's processes says the same.
        self.reporter = Reporter()
        self.reporter.state = State.READY
        self.reporter.start()

    async def _shutdown(self) -> None:
        """Stop accepting connections, finish what is in flight, then close idle connections.

        gunicorn's arbiter counts `graceful_timeout` from the signal, then kills the process.
        """
        for server in self.servers:
            server.close()
        self.log.info("Draining")
        self.reporter.state = State.LEAVING
        await in_flight.finished()
        self._quick_shutdown = True
        await super()._shutdown()


def _tracked(application: Application) -> Application:
    async def tracked(scope: dict[str, Any], *channels: Any) -> None:
        call = application(scope, *channels)
        await (in_flight.start(call) if scope["type"] == "http" else call)

    return tracked
