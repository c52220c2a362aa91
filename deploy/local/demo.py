"""Show the whole service on this machine: start it, answer a sample photo, say where to look, clean up."""

import secrets
import shlex
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType

from django.conf import settings
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from detection import predictions

from . import sample
from .processes import Child
from .stack import LocalStack
from .telegram.client import TelegramUser

_COLOURS = {"polybot": "cyan", "yolo5": "green", "telegram": "blue", "ministack": "yellow", "admin": "magenta"}
_ANSWER_SECONDS = 120
CHAT_ID = 42  # Whoever opens the chat page without choosing somebody is this person.
ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for the sample photo."""

    prediction_id: str
    objects: int
    seconds: float
    text: str


def run(once: bool, folder: Path) -> Answer | None:
    """Start everything, answer the sample photo, then stay until told to stop, unless `once`.

    Return None if it was told to stop before the photo was answered.
    """
    answer = None
    console = Console(highlight=False)
    chosen = sample.choose()
    console.print(Panel(chosen.sentence, title="The model that answers", border_style="yellow", expand=False))
    with _stoppable() as stopped, console.status("starting") as status:

        def step(text: str) -> None:
            console.print(Text("→ ", style="bold") + Text(text))
            status.update(text)

        talk = threading.Event()

        def on_line(name: str, line: str) -> None:
            if talk.is_set():
                _print(console, name, line)

        stack = LocalStack(folder, chosen.weights, step, on_line)
        stack.env["LOG_FORMAT"] = "text"
        with stack.running():
            password = _admin(stack)
            step("sending a sample photo to the bot")
            talk.set()
            answer = _answer(stack, chosen.photo, folder)
            status.stop()
            _say_where(console, stack, password, folder, answer)
            if not once:
                stopped.wait()
            talk.clear()
            console.print("stopping")
    return answer


def _answer(stack: LocalStack, photo: bytes, folder: Path) -> Answer:
    stack.adopt("PREDICTIONS_TABLE")
    user = TelegramUser(stack.telegram_url, CHAT_ID)
    started = time.monotonic()
    message_id = user.send_photo(photo)
    reply = user.wait_for_reply(message_id, timeout_seconds=_ANSWER_SECONDS)
    seconds = time.monotonic() - started
    if reply.photo:
        (folder / "answer.jpg").write_bytes(user.download(reply))
    prediction = predictions.find(predictions.latest_of_chat(CHAT_ID)[0])
    assert prediction is not None
    return Answer(prediction.prediction_id, len(prediction.detections), seconds, reply.caption or reply.text or "")


def _admin(stack: LocalStack) -> str:
    """Make the admin's database and its login; return the password."""
    stack.step("making the admin's login")
    password = secrets.token_urlsafe(9)
    manage = [sys.executable, str(settings.BASE_DIR / "manage.py")]
    env = stack.env | {"DJANGO_SUPERUSER_PASSWORD": password, "LOG_LEVEL": "WARNING"}
    login = ["createsuperuser", "--noinput", "--username", ADMIN, "--email", "admin@localhost"]
    for command in (["migrate", "--verbosity", "0"], login):
        child = stack.children.start("admin", [*manage, *command], env)
        child.wait_ready(partial(_succeeded, child))
    return password


def _succeeded(child: Child) -> bool:
    return not child.running and child.wait() == 0


def _say_where(console: Console, stack: LocalStack, password: str, folder: Path, answer: Answer) -> None:
    table = Table(show_header=False, box=None)
    table.add_row(
        "sample photo", f"[bold green]{answer.text}[/] in {answer.seconds:.1f} s, see {folder / 'answer.jpg'}"
    )
    table.add_row("chat page", f"[bold]{stack.telegram_url}/?chat={CHAT_ID}[/]  send photos here, as a Telegram user")
    # Straight to a site: the emulator has the balancer's name in the path, which redirects do not know.
    table.add_row("admin", f"[bold]{next(iter(stack.sites.values()))}/admin/[/]  {ADMIN} / {password}")
    table.add_row("logs", str(folder / "logs"))
    table.add_row("by hand", 'set -a; eval "$(cat ' + str(_write_env(stack, folder)) + ")\"; then any role's command")
    console.print(Panel(table, title="Object detection service, local", border_style="green", expand=False))


def _write_env(stack: LocalStack, folder: Path) -> Path:
    """Write what the roles were started with; the file is readable by its owner alone."""
    path = folder / "env"
    path.touch(mode=0o600)
    names = [name for name in stack.env if name in _NEEDED or name.startswith(("AWS_", "TELEGRAM_"))]
    path.write_text("".join(f"{name}={shlex.quote(stack.env[name])}\n" for name in sorted(names)))
    return path


_NEEDED = (
    "JOBS_QUEUE_URL",
    "METRICS_QUEUE_URL",
    "IMAGES_BUCKET",
    "PREDICTIONS_TABLE",
    "POLYBOT_URL",
    "RESULTS_KEY",
    "DJANGO_SECRET_KEY",
    "DATABASE_URL",
    "YOLO_WEIGHTS",
)


def _print(console: Console, name: str, line: str) -> None:
    colour = _COLOURS.get(name.partition("-")[0], "white")
    console.print(Text(f"{name:>10} │ ", style=colour) + Text(line), soft_wrap=True)


@contextmanager
def _stoppable() -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C and SIGTERM set. While starting, they end the block at once instead."""
    stopped = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        # A second one would interrupt the cleaning up.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        stopped.set()
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    except KeyboardInterrupt:
        if not stopped.is_set():
            raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
