"""Drain a site: gunicorn's ASGI worker, which finishes what was begun before it ends."""

from collections.abc import Callable, Coroutine
from typing import Any

from gunicorn.workers.gasgi import ASGIWorker

from . import under_way

Application = Callable[..., Coroutine[Any, Any, None]]


class Worker(ASGIWorker):
    """Wait for requests and sends, not for connections.

    gunicorn's own waits for connections, idle ones too, until it is killed. Without any it cancels what still runs: a
    photo that is on its way to Telegram, for a caller that has hung up, would be sent again.
    """

    def load_wsgi(self) -> None:
        """Load the application, and keep track of its requests."""
        super().load_wsgi()
        self.asgi: Application = _tracked(self.asgi)

    async def _shutdown(self) -> None:
        """Take no connection, finish what is under way, then close the idle connections.

        gunicorn's arbiter counts `graceful_timeout` from the signal, and kills what is left by then.
        """
        for server in self.servers:
            server.close()
        self.log.info("Draining")
        await under_way.finished()
        self._quick_shutdown = True
        await super()._shutdown()


def _tracked(application: Application) -> Application:
    async def tracked(scope: dict[str, Any], *channels: Any) -> None:
        call = application(scope, *channels)
        await (under_way.start(call) if scope["type"] == "http" else call)

    return tracked
