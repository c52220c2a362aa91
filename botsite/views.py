"""Translate HTTP into calls of the bot: authenticate, parse, call one function, return a status."""

import json

import structlog
from asgiref.sync import sync_to_async
from botocore.exceptions import BotoCoreError, ClientError
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST
from kombu.exceptions import OperationalError

from detection import callback

from . import keys
from .bot import deliver, incoming, receive
from .bot.incoming import Command, Other, Photo
from .telegram import TelegramError

log = structlog.get_logger()

_in_thread = sync_to_async(thread_sensitive=False)

# What goes away by itself: whoever called is to call again.
_TRANSIENT = (TelegramError, ClientError, BotoCoreError, OperationalError)
# A defect of ours that lasts longer would have Telegram repeat the update for a day, and hold back its chat meanwhile.
_DEFECT_SECONDS = 600
_STATUS_OF = {
    deliver.Result.UNKNOWN: 404,
    deliver.Result.NOT_FINISHED: 409,
    deliver.Result.SOMEBODY_ELSE: 503,
    deliver.Result.SETTLED: 200,
}


@csrf_exempt
@require_POST
async def webhook(request: HttpRequest) -> HttpResponse:
    """Take an update from Telegram. 200 says that it is durable or ignored; a 5xx brings it again."""
    if not await _in_thread(_from_telegram)(request.headers.get("X-Telegram-Bot-Api-Secret-Token", "")):
        return HttpResponse(status=403)
    try:
        update = incoming.read(json.loads(request.body))
    except (json.JSONDecodeError, UnicodeDecodeError):
        return HttpResponse(status=400)
    except incoming.Malformed as error:
        # Not 4xx: Telegram would send it again for a day, and hold back what follows in that chat.
        log.warning("update_ignored", error=str(error))
        return HttpResponse()
    if update is not None:
        try:
            await _receive(update)
        except _TRANSIENT as error:
            return _again("update_postponed", error, chat_id=update.chat_id)
    # Empty: Telegram executes a JSON body that names a method.
    return HttpResponse()


def _from_telegram(secret: str) -> bool:
    return keys.WEBHOOK.fits(lambda key: constant_time_compare(secret.encode(), key.encode()))


async def _receive(update: Photo | Command | Other) -> None:
    """Act on an update; apologise if a defect of ours has been in its way for too long."""
    try:
        await receive.receive(update)
    except _TRANSIENT:
        raise
    except Exception:
        if update.age_seconds < _DEFECT_SECONDS:
            raise
        log.exception("update_given_up", chat_id=update.chat_id)
        await receive.give_up(update)


@require_GET
async def results(request: HttpRequest) -> HttpResponse:
    """Deliver a finished prediction. Called by the worker, who signs the id in a header."""
    prediction_id = request.GET.get("predictionId", "")
    if not await _in_thread(callback.verify)(prediction_id, request.headers.get(callback.SIGNATURE_HEADER, "")):
        return HttpResponse(status=403)
    with structlog.contextvars.bound_contextvars(prediction_id=prediction_id):
        try:
            return HttpResponse(status=_STATUS_OF[await deliver.deliver(prediction_id)])
        except _TRANSIENT as error:
            return _again("delivery_postponed", error)


def _again(event: str, error: Exception, **fields: object) -> HttpResponse:
    """Ask the caller to come again, after as long as Telegram asked us to wait, if it did."""
    log.warning(event, error=str(error), **fields)
    response = HttpResponse(status=503)
    wait_seconds = getattr(error, "retry_after_seconds", None)
    if wait_seconds:
        response["Retry-After"] = str(round(wait_seconds) + 1)
        response[callback.BUSY_HEADER] = "1"
    return response
