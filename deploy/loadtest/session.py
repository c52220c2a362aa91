"""Carry out the `loadtest` command, from the checks before anything is sent to the written report."""

import asyncio
import os
import secrets
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from functools import partial

import httpx
from botocore.exceptions import ClientError
from django.conf import settings

from botsite import aws, celery
from botsite.bot.telegram import api, client
from botsite.bot.telegram.errors import TelegramError
from deploy import interrupts
from deploy.certificates import acm
from deploy.loadtest import gauges, local, plot, queue, send
from deploy.loadtest.follow import LoadRun
from deploy.loadtest.gauges import Gauges, Known
from deploy.loadtest.plan import LoadOptions, LoadTestError
from deploy.loadtest.report import LoadReport
from deploy.loadtest.screen import Screen
from deploy.loadtest.send import Sizes, WebhookClient
from deploy.patience import Say
from deploy.service import Service
from detection.record import queries

_MOST_CHATS = 1000
_NEEDS = ("PREDICTIONS_TABLE", "JOBS_QUEUE_URL", "RESULTS_KEY", "TELEGRAM_WEBHOOK_SECRET")
_HELP = 'Is it provisioned (`manage.py provision`) and its environment set (`eval "$(python manage.py stack_env)"`)?'
_UP = "Are the sites up (`/readyz`)?"
_WHY = {
    403: "TELEGRAM_WEBHOOK_SECRET is not the one the sites have.",
    404: "The load balancer only forwards requests from Telegram's networks and OperatorCidr: "
    "`manage.py provision --parameter OperatorCidr=<address of this machine>/32`.",
}
_NO_PREDICTION = "0" * 32


def run(options: LoadOptions, screen: Screen) -> LoadReport | None:
    """Run the test and write its report; return None if it was stopped before a photo was sent.

    Raise LoadTestError for what cannot work, botocore's errors for what AWS refuses.
    """
    offsets, report = options.offsets(), None
    on_this_machine = options.local or not _stack_is_named()
    if options.folder:
        images = send.pictures(options.folder)
    else:
        images = [local.sample_photo(chosen=on_this_machine or bool(os.environ.get("YOLO_WEIGHTS")))]
    with interrupts.stoppable():
        if on_this_machine and not options.local:
            screen.step("the environment names no stack: starting one here for the test (--local)")
        with local.stack(options.out / "stack", screen.step) if on_this_machine else nullcontext() as known:
            _check_settings()
            _check_table()
            done = asyncio.run(_test(options, offsets, images, known, screen))
            title = options.title(len(offsets), local.where() if on_this_machine else _where())
            report = LoadReport(done, title, gauges.target())
            report.save()
            plot.draw(report, options.out / "report.png")
    return report


def _stack_is_named() -> bool:
    return aws.emulated() or any(getattr(settings, name) for name in _NEEDS)


def _where() -> str:
    return f"an emulated AWS, {aws.place()}" if aws.emulated() else aws.place()


async def _test(
    options: LoadOptions,
    offsets: Sequence[float],
    images: Sequence[bytes],
    known: Callable[[], Known] | None,
    screen: Screen,
) -> LoadRun:
    """Check, give Telegram the photos, send, and follow."""
    watched = Gauges(known)
    if options.until_scaled_in:
        await asyncio.to_thread(_check_group, watched)
    async with by_webhook(options, offsets, images, watched, screen.step) as run:
        run.changed = screen.show
        if aws.emulated() and not known:
            run.note("the emulator reports instances in service at once, and raises alarms at a single value")
        with screen.live():
            await run.go()
        return run


@asynccontextmanager
async def by_webhook(
    options: LoadOptions,
    offsets: Sequence[float],
    images: Sequence[bytes],
    gauges: Gauges,
    say: Say,
    uploaded: list[Sizes] | None = None,
) -> AsyncIterator[LoadRun]:
    """Yield a run through the webhook. `uploaded` are the images as Telegram has them; it is filled if empty."""
    webhook = await _reach(options.prefix)
    try:
        receipts = await asyncio.to_thread(local.receipts)
        chats = await _chats(options.chat_ids, len(offsets), made_up=receipts is not None)
        known = [] if uploaded is None else uploaded
        known += [] if known else await send.upload(images, chats[0], say)
        if receipts:
            await asyncio.to_thread(receipts.skip)
        photos = send.photos(len(offsets), chats, known)
        yield LoadRun(options, offsets, photos, webhook.url, webhook.send, gauges, receipts)
    finally:
        await webhook.client.aclose()
        await client.close()


@asynccontextmanager
async def by_queue(
    options: LoadOptions, offsets: Sequence[float], image: bytes, gauges: Gauges
) -> AsyncIterator[LoadRun]:
    """Yield a run that needs no bot: jobs go into the queue, and nobody is answered."""
    # Celery has the settings of when it was first looked at, when there may have been no queue.
    celery.reconfigure()
    photos = queue.photos(len(offsets))
    yield LoadRun(options, offsets, photos, "the jobs queue", partial(queue.send, image), gauges)


def _check_settings() -> None:
    """Raise LoadTestError naming every setting that the environment lacks."""
    missing = [name for name in _NEEDS if not getattr(settings, name)]
    if not (settings.TELEGRAM_TOKEN or settings.TELEGRAM_TOKEN_SECRET):
        missing.append("TELEGRAM_TOKEN_SECRET (or TELEGRAM_TOKEN)")
    if missing:
        raise LoadTestError(
            f"The environment names a stack but lacks {', '.join(missing)}: set them "
            '(`set -a; eval "$(python manage.py stack_env)"`), or use --local.'
        )


def _check_table() -> None:
    """Raise LoadTestError if the predictions table does not exist; botocore's errors if it cannot be read."""
    try:
        queries.find_many([_NO_PREDICTION])
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        raise LoadTestError(f"There is no table {settings.PREDICTIONS_TABLE} on {_where()}. {_HELP}") from error


def _check_group(watched: Gauges) -> None:
    """Raise LoadTestError if there is no Auto Scaling group to watch."""
    if reason := watched.read().missing.get("group"):
        raise LoadTestError(f"--until-scaled-in has no group to watch. {reason}")


async def _reach(prefix: str) -> WebhookClient:
    """Return the webhook that Telegram calls, once that accepts our secret. Raise LoadTestError."""
    try:
        info = await api.webhook()
    except TelegramError as error:
        raise LoadTestError(f"Telegram does not tell the webhook's address: {error}") from error
    if not info.url:
        raise LoadTestError("Telegram has no webhook for this bot: run `python manage.py set_webhook` first.")
    tls = await asyncio.to_thread(_certificate, prefix) if info.has_custom_certificate else True
    webhook = WebhookClient(info.url, settings.TELEGRAM_WEBHOOK_SECRET, tls)
    try:
        await _probe(webhook)
    except LoadTestError:
        await webhook.client.aclose()
        raise
    return webhook


def _certificate(prefix: str) -> ssl.SSLContext:
    """Return TLS that trusts the stack's own certificate, as Telegram does. Raise StackError if there is no stack."""
    arn = Service(prefix).stack("web").parameters.get("CertificateArn", "")
    if arn:
        with suppress(ssl.SSLError):
            return ssl.create_default_context(cadata=acm.pem(arn).decode())
    raise LoadTestError(
        f"Telegram has a self-signed certificate for the webhook, but the stack {prefix}-web has none that can be "
        "used: does --prefix name the stack to test?"
    )


async def _probe(webhook: WebhookClient) -> None:
    try:
        status = await webhook.probe()
    except httpx.TransportError as error:
        raise LoadTestError(f"The webhook {webhook.url} does not answer: {error}. {_UP}") from error
    if not 200 <= status <= 299:
        raise LoadTestError(
            f"The webhook {webhook.url} answers {status} where it should answer 200. {_WHY.get(status, _UP)}"
        )


async def _chats(chosen: Sequence[int], photos: int, *, made_up: bool) -> Sequence[int]:
    """Return the chats to send from. Raise LoadTestError for one that the bot cannot write to."""
    for chat_id in chosen:
        try:
            await api.show_activity(chat_id)
        except TelegramError as error:
            raise LoadTestError(
                f"The bot cannot write to chat {chat_id} ({error}): its owner has to press Start in the bot first."
            ) from error
    if chosen:
        return chosen
    if not made_up:
        raise LoadTestError(
            "Answers go to real chats here: name them with --chat-ids. Their owners must have pressed Start in the bot "
            "and expect these photos."
        )
    first = 10**9 + secrets.randbelow(10**9)
    return range(first, first + min(photos, _MOST_CHATS))
