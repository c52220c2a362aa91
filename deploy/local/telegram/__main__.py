"""Run the fake Telegram."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys

from aiohttp import web

from .server import make_app
from .settings import Settings

# Live streams and injected hangs never end by themselves; everything else is answered well before this.
_SHUTDOWN_SECONDS = 0.5


async def serve(host: str, port: int, app: web.Application) -> None:
    """Serve until SIGTERM or SIGINT."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    # The access log would contain the token, which is in every address of the Bot API.
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    port = runner.addresses[0][1]
    sys.stdout.write(f"fake Telegram listens on http://{host}:{port}\n")
    sys.stdout.flush()
    await stopped.wait()
    await runner.cleanup()


def main() -> int:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(prog=f"TELEGRAM_TOKEN=... python -m {__package__}", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    parser.add_argument("--port", type=int, required=True, help="port to listen on, 0 for a free one")
    parser.add_argument(
        "--time-scale", type=float, default=1.0, help="factor for Telegram's retry delays and lifetimes (default 1)"
    )
    parser.add_argument("--bot-name", default="Object Detection", help="name in the chat's header")
    parser.add_argument("--bot-username", default="object_detection_bot", help="username without @")
    arguments = parser.parse_args()
    token = os.environ.get("TELEGRAM_TOKEN", "")
    if not token:
        parser.error("TELEGRAM_TOKEN is not set; any value like 123456:abc will do")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    settings = Settings(time_scale=arguments.time_scale)
    app = make_app(token, settings, arguments.bot_name, arguments.bot_username)
    asyncio.run(serve(arguments.host, arguments.port, app))
    return 0


if __name__ == "__main__":
    sys.exit(main())
