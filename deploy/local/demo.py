"""Show the whole service on this machine: start it, answer a sample photo, say where to look, clean up."""

import shlex
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from deploy.interrupts import stoppable
from deploy.local import sample
from deploy.local.processes import PATIENCE_SECONDS
from deploy.local.scaled_stack import TIME_SCALE, ScaledStack
from deploy.local.screen import Screen
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import Message, TelegramUser
from detection import predictions, queries

# While it waits for the answer, the demo looks so often whether a worker cannot start.
_LOOK_SECONDS = 1
CHAT_ID = 42  # Whoever opens the chat page without choosing somebody is this person.


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
    with stoppable() as stopped, console.status("starting") as status:
        screen = Screen(console, status)
        stack = ScaledStack(folder, chosen.weights, screen.step, screen.on_line)
        stack.env["LOG_FORMAT"] = "text"
        with stack.running():
            screen.step("sending a sample photo to the bot")
            screen.talks = True
            answer = _answer(stack, chosen.photo, folder)
            status.stop()
            _say_where(console, stack, folder, answer)
            if not once:
                console.print("Ctrl-C ends all of it.")
                stopped.wait()
            screen.talks = False
            console.print("stopping")
    return answer


def _answer(stack: ScaledStack, photo: bytes, folder: Path) -> Answer:
    stack.adopt("PREDICTIONS_TABLE")
    user = TelegramUser(stack.telegram_url, CHAT_ID)
    started = time.monotonic()
    reply = _reply(stack, user, user.send_photo(photo))
    seconds = time.monotonic() - started
    if reply.photo:
        (folder / "answer.jpg").write_bytes(user.download(reply))
    prediction = predictions.find(queries.latest_of_chat(CHAT_ID)[0])
    assert prediction is not None
    return Answer(prediction.prediction_id, len(prediction.detections), seconds, reply.caption or reply.text or "")


def _reply(stack: ScaledStack, user: TelegramUser, message_id: int) -> Message:
    """Return the answer; raise ChildFailed if there is no worker that could give one, TimeoutError if none comes."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return user.wait_for_reply(message_id, timeout_seconds=_LOOK_SECONDS)
        except TimeoutError:
            stack.raise_trouble()
            if time.monotonic() > deadline:
                raise


def _say_where(console: Console, stack: LocalStack, folder: Path, answer: Answer) -> None:
    table = Table(show_header=False, box=None)
    table.add_row(
        "sample photo", f"[bold green]{answer.text}[/] in {answer.seconds:.1f} s, see {folder / 'answer.jpg'}"
    )
    table.add_row("chat page", f"[bold]{stack.telegram_url}/?chat={CHAT_ID}[/]  send photos here, as a Telegram user")
    # Straight to a site: the emulator has the balancer's name in the path, which redirects do not know.
    site = next(iter(stack.sites.values()))
    table.add_row("admin", f"[bold]{site}/admin/[/]  shows every job")
    table.add_row("ops page", f"[bold]{site}/ops/[/]  shows the service as it changes; the same login")
    # On a line of its own, lest a narrow terminal breaks the password in two.
    table.add_row("admin login", f"{stack.env['ADMIN_USER']} / {stack.env['ADMIN_PASSWORD']}")
    table.add_row("machines", f"come with work and go without; emulated: 1 s here = {1 / TIME_SCALE:g} s on AWS")
    table.add_row("logs", str(folder / "logs"))
    table.add_row("by hand", 'set -a; eval "$(cat ' + str(_write_env(stack, folder)) + ")\"; then any role's command")
    console.print(Panel(table, title="Object detection service, local", border_style="green", expand=False))


def _write_env(stack: LocalStack, folder: Path) -> Path:
    """Write what the roles were started with: whole or not at all, and readable by its owner alone."""
    path, whole = folder / "env", folder / "env.new"
    whole.unlink(missing_ok=True)
    whole.touch(mode=0o600)
    names = [name for name in stack.env if name in _NEEDED or name.startswith(("AWS_", "TELEGRAM_"))]
    whole.write_text("".join(f"{name}={shlex.quote(stack.env[name])}\n" for name in sorted(names)))
    return whole.replace(path)


_NEEDED = (
    "ASG_NAME",
    "BACKLOG_TARGET",
    "METRIC_NAMESPACE",
    "METRIC_PERIOD_SECONDS",
    "JOBS_QUEUE_URL",
    "METRICS_QUEUE_URL",
    "IMAGES_BUCKET",
    "PREDICTIONS_TABLE",
    "POLYBOT_URL",
    "RESULTS_KEY",
    "DJANGO_SECRET_KEY",
    "ADMIN_USER",
    "ADMIN_PASSWORD",
    "DATABASE_URL",
    "YOLO_WEIGHTS",
)
