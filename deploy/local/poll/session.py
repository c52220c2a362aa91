"""Run a real bot on this machine: check that the bot is free, start the service, answer until told to stop."""

import asyncio
import fcntl
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from rich.console import Console

from botsite import logs
from deploy import background
from deploy.interrupts import stoppable
from deploy.local import private, sample
from deploy.local.poll.asking import HOW_TO_REMOVE, Asking, Ended, Say
from deploy.local.poll.lanes import Lanes, Update, Webhook
from deploy.local.poll.stack import PollStack
from deploy.local.poll.watching import Watching
from deploy.webhook import bot_api, registration

_LOOK_SECONDS = 2.0
_END_SECONDS = 5.0
# Each chat may have a request in flight; lanes bound them.
_LIMITS = httpx.Limits(max_connections=None)


@dataclass(frozen=True)
class Bot:
    """The bot, as Telegram knows it."""

    token: str = field(repr=False)
    name: str
    username: str

    @property
    def number(self) -> int:
        """Return its id."""
        return int(self.token.partition(":")[0])


def meet(token: str) -> Bot:
    """Return the token's bot. Raise TelegramError if Telegram doesn't know it, Ended if it has a webhook."""
    url = registration.current(token).url
    me = bot_api.ask(token, lambda bot: bot.get_me)
    if url:
        raise Ended(
            f"@{me.username} has a webhook: its updates go to {urlsplit(url).hostname}, which may be a service that "
            f"people use. Polling would take the bot away from it. {HOW_TO_REMOVE}"
        )
    return Bot(token, me.first_name, str(me.username))


def run(bot: Bot, folder: Path, console: Console) -> None:
    """Start everything and answer until told to stop. Raise Ended if that can't go on."""
    chosen = sample.choose()

    def say(text: str) -> None:
        console.print(f"{datetime.now().astimezone():%H:%M:%S} {logs.redact(text)}", markup=False)

    with _alone(folder), stoppable(), console.status("starting") as status:

        def step(text: str) -> None:
            console.print(f"→ {text}", markup=False)
            status.update(text)

        stack = PollStack(folder, chosen.weights, step, token=bot.token)
        with stack.running():
            stack.adopt("PREDICTIONS_TABLE", "PREDICTION_ID_KEY")
            status.stop()
            _introduce(console, bot, stack, chosen.sentence)
            with _in_background(_receive(bot, stack.webhook, say)) as ended:
                _attend(stack, ended, say)
    console.print("Ended; nothing is left running.")


def _attend(stack: PollStack, ended: Future[None], say: Say) -> None:
    """Wait for the end of the polling; start again what ends meanwhile."""
    while True:
        try:
            return ended.result(_LOOK_SECONDS)
        except TimeoutError:
            if ended.done():
                raise
        for name in stack.restart_ended():
            say(f"{name} has ended, see {stack.folder / 'logs' / name}.log; it is started again")


async def _receive(bot: Bot, webhook: Webhook, say: Say) -> None:
    """Take updates from Telegram to the site. Raise Ended."""
    async with httpx.AsyncClient() as telegram, httpx.AsyncClient(trust_env=False, limits=_LIMITS) as site:
        asking = Asking(telegram, bot.token, say)
        try:
            async with asyncio.TaskGroup() as tasks:
                watching = Watching(bot.number, asking.settle, say)
                lanes = Lanes(tasks, site, webhook, watching.taken, say)
                tasks.create_task(watching.run())
                async for batch in asking.batches():
                    for fields in batch:
                        lanes.put(Update(fields))
        except asyncio.CancelledError:
            await asking.confirm()
            raise
        except ExceptionGroup as group:
            raise group.exceptions[0] from group


def _introduce(console: Console, bot: Bot, stack: PollStack, model: str) -> None:
    login = f"{stack.env['ADMIN_USER']} / {stack.env['ADMIN_PASSWORD']}"
    lines = (
        f"{bot.name} answers now: https://t.me/{bot.username}",
        f"model      {model}",
        f"admin      {stack.address}/admin/   dashboard  {stack.address}/ops/",
        f"login      {login}",
        f"logs       {stack.folder / 'logs'}",
        "Photos and answers live here, in memory, as long as this command: older answers' buttons end with it.",
        "Ctrl-C ends it.",
    )
    for line in lines:
        console.print(line, markup=False)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep a second one out of the folder within the block. Raise Ended."""
    private.make(folder)
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Ended(f"Another poll uses {folder}. End it, or choose another folder with --folder.") from error
        yield


@contextmanager
def _in_background(work: Coroutine[Any, Any, None]) -> Iterator[Future[None]]:
    """Run a coroutine in a thread of its own within the block: the main thread is for signals."""
    loop_and_task: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[None]]] = Future()

    async def run() -> None:
        task = asyncio.ensure_future(work)
        loop_and_task.set_result((asyncio.get_running_loop(), task))
        with suppress(asyncio.CancelledError):
            await task

    future = background.start(lambda: asyncio.run(run()))
    try:
        yield future
    finally:
        loop, task = loop_and_task.result()
        # A loop that has ended takes no more calls.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(task.cancel)
        wait([future], _END_SECONDS)
