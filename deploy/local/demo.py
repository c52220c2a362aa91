"""Run the whole service on this machine: start it, answer a sample photo, say where to look, clean up."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from deploy.interrupts import stoppable
from deploy.local import demo_environment, private, sample
from deploy.local.processes import wait_until
from deploy.local.scaled_stack import TIME_SCALE, ScaledStack
from deploy.local.screen import Screen
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import Message, TelegramUser
from detection.record import predictions, queries

CHAT_ID = 42  # The chat page shows this person's chat unless told otherwise.
# A chat for guests' pictures.
_STORAGE_CHAT = "-1001000000042"
_LOOK_SECONDS = 0.1
# What a command or a role needs to work with the stack, in addition to AWS_* and TELEGRAM_*.
_NEEDED = (
    "ASG_NAME",
    "BACKLOG_TARGET",
    "METRIC_NAMESPACE",
    "KEEP_WARM_SECONDS",
    "METRIC_PERIOD_SECONDS",
    "JOBS_QUEUE_URL",
    "METRICS_QUEUE_URL",
    "IMAGES_BUCKET",
    "PREDICTIONS_TABLE",
    "POLYBOT_URL",
    "RESULTS_KEY",
    "PREDICTION_ID_KEY",
    "DJANGO_SECRET_KEY",
    "ADMIN_USER",
    "ADMIN_PASSWORD",
    "DATABASE_URL",
    "YOLO_WEIGHTS",
    "LOG_FOLDER",
)


@dataclass(frozen=True, slots=True)
class SampleAnswer:
    """The answer to the sample photo."""

    prediction_id: str
    objects: int
    seconds: float
    text: str


def run(once: bool, folder: Path, parameters: Mapping[str, str]) -> SampleAnswer | None:
    """Start everything, answer the sample photo and, unless `once`, keep running until told to stop.

    The parameters are the templates'. Return None if it was told to stop before the photo was answered.
    """
    answer = None
    private.make(folder)
    console = Console(highlight=False)
    chosen = sample.choose()
    console.print(Panel(chosen.sentence, title="Model", border_style="yellow", expand=False))
    with demo_environment.alone(folder), stoppable() as stopped, console.status("starting") as status:
        screen = Screen(console, status)
        stack = ScaledStack(folder, chosen.weights, screen.step, screen.on_line)
        stack.parameters = {"StorageChat": _STORAGE_CHAT, **parameters}
        stack.env["LOG_FORMAT"] = "text"
        with stack.running():
            screen.step("sending a sample photo to the bot")
            screen.talks = True
            answer = _answer(stack, chosen.photo, folder)
            with demo_environment.published(_environment(stack), folder) as path:
                status.stop()
                console.print(_addresses(stack, folder, answer, path))
                if not once:
                    console.print("Press Ctrl-C to stop everything.")
                    stopped.wait()
            screen.talks = False
            console.print("stopping")
    return answer


def _answer(stack: ScaledStack, photo: bytes, folder: Path) -> SampleAnswer:
    stack.adopt("PREDICTIONS_TABLE")
    user = TelegramUser(stack.telegram_url, CHAT_ID)
    started = time.monotonic()
    reply = _reply(stack, user, user.send_photo(photo))
    seconds = time.monotonic() - started
    if reply.photo:
        picture = folder / "answer.jpg"
        # An older one may be open to others.
        picture.unlink(missing_ok=True)
        picture.write_bytes(user.download(reply))
    prediction = predictions.find(queries.latest_of_chat(CHAT_ID)[0])
    assert prediction is not None
    return SampleAnswer(
        prediction.prediction_id, len(prediction.detections), seconds, reply.caption or reply.text or ""
    )


def _reply(stack: ScaledStack, user: TelegramUser, message_id: int) -> Message:
    """Return the answer. Raise ChildFailed if no worker can start, TimeoutError if no answer comes."""

    def look() -> Message | None:
        stack.raise_trouble()
        return next((one for one in user.messages() if one.answers(message_id)), None)

    reply = wait_until(look, what="an answer to the sample photo", every_seconds=_LOOK_SECONDS)
    assert reply is not None
    return reply


def _addresses(stack: LocalStack, folder: Path, answer: SampleAnswer, environment: Path) -> Panel:
    table = Table(show_header=False, box=None)
    # The sentence below it is for people who do not see the picture.
    counts = answer.text.partition("\n")[0]
    table.add_row("sample photo", f"[bold green]{counts}[/] in {answer.seconds:.1f} s, see {folder / 'answer.jpg'}")
    table.add_row("chat page", f"[bold]{stack.telegram_url}/?chat={CHAT_ID}[/]  send photos as a Telegram user")
    table.add_row("guest mode", f"[bold]{stack.telegram_url}/?chat=-1&strangers=1[/]  a group that the bot isn't in")
    # Straight to a site: the emulator's load balancer is a path, which redirects know nothing of.
    site = next(iter(stack.sites.values()))
    table.add_row("admin", f"[bold]{site}/admin/[/]  every job")
    table.add_row("dashboard", f"[bold]{site}/ops/[/]  the service live, same login")
    # On its own line, so that a narrow terminal does not break the password in two.
    table.add_row("admin login", f"{stack.env['ADMIN_USER']} / {stack.env['ADMIN_PASSWORD']}")
    table.add_row("machines", f"start when there is work and stop when idle; 1 s here is {1 / TIME_SCALE:g} s on AWS")
    table.add_row("logs", str(folder / "logs"))
    if folder == demo_environment.folder():
        table.add_row("commands", "in another terminal, python manage.py doctor etc. use this demo")
    table.add_row("run a role", f'set -a; eval "$(cat {environment})"; then its command')
    return Panel(table, title="Object detection service, local", border_style="green", expand=False)


def _environment(stack: LocalStack) -> dict[str, str]:
    """Return what a command or a role needs to work with this stack."""
    return {
        name: value for name, value in stack.env.items() if name in _NEEDED or name.startswith(("AWS_", "TELEGRAM_"))
    }
