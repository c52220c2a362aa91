"""Translate HTTP for the bot: authenticate, parse, call one function, return a status."""

import structlog
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST
from kombu.exceptions import OperationalError

from botsite.bot import features  # noqa: F401 - each registers its commands and buttons
from botsite.bot.answers import deliver
from botsite.bot.answers.attempts import Result
from botsite.bot.incoming import files, limits, receive, updates
from botsite.bot.incoming.updates import Incoming, Press
from botsite.bot.people import erase
from botsite.bot.telegram.errors import TelegramError
from botsite.threads import in_thread
from detection.record import deletions
from detection.work import callback

log = structlog.get_logger()


# Errors that pass: the caller should try again.
_TRANSIENT = (TelegramError, files.Full, limits.Busy, ClientError, BotoCoreError, OperationalError)
# AWS errors about the request itself.
_REJECTIONS = ("ValidationException", "SerializationException", "InvalidParameterValue", "InvalidMessageContents")
# If our own bug persists for longer, give up: Telegram would repeat the update for a day and hold back its chat.
_BUG_SECONDS = 600
_STATUS_OF = {
    Result.UNKNOWN: 404,
    Result.NOT_FINISHED: 409,
    Result.SOMEBODY_ELSE: 503,
    Result.ALBUM_WAITS: 503,
    Result.SETTLED: 200,
}


@csrf_exempt
@require_POST
async def webhook(request: HttpRequest) -> HttpResponse:
    """Take an update from Telegram. 200 means it is durable or ignored; after a 5xx it comes again."""
    # botsite/request_limits.py authenticated it before reading its body.
    if not getattr(request, "scope", {}).get("telegram"):
        return HttpResponse(status=403)
    try:
        update = updates.parse(request.body)
    except updates.NotJson as error:
        log.warning("update_refused", error=str(error))
        return HttpResponse(status=400)
    except updates.Malformed as error:
        # Not 4xx: Telegram would send it again for a day, and hold back later updates of that chat.
        log.warning("update_ignored", error=str(error))
        return HttpResponse()
    if update is not None:
        try:
            await _receive(update)
        except _TRANSIENT as error:
            return _again("update_postponed", error, chat_id=update.chat_id)
    # Empty: Telegram would execute a JSON body that names a method.
    return HttpResponse()


async def _receive(update: Incoming) -> None:
    """Act on an update; apologise if a bug has kept failing on it for too long, or always will."""
    try:
        await receive.receive(update)
    except Exception as error:
        rejected = _is_rejected(error)
        if not rejected and (isinstance(error, _TRANSIENT) or _young(update)):
            raise
        log.exception("update_given_up", chat_id=update.chat_id)
        await receive.give_up(update)


def _young(update: Incoming) -> bool:
    """Return whether Telegram may send it again: not a press, whose sender has pressed again since."""
    return not isinstance(update, Press) and update.age_seconds < _BUG_SECONDS


def _is_rejected(error: Exception) -> bool:
    """Return whether AWS calls the request itself invalid: it would say the same again."""
    if isinstance(error, ClientError):
        return error.response["Error"]["Code"] in _REJECTIONS
    return isinstance(error, ParamValidationError)


@require_GET
async def results(request: HttpRequest) -> HttpResponse:
    """Deliver a finished prediction, or go on with a deletion. Called by a worker, which signs the id in a header."""
    prediction_id = request.GET.get("predictionId", "")
    if not await in_thread(callback.verify)(prediction_id, request.headers.get(callback.SIGNATURE_HEADER, "")):
        return HttpResponse(status=403)
    if deletions.is_key(prediction_id):
        erase.go_on(prediction_id)
        return HttpResponse()
    with structlog.contextvars.bound_contextvars(prediction_id=prediction_id):
        try:
            attempt = await deliver.deliver(prediction_id)
        except _TRANSIENT as error:
            return _again("delivery_postponed", error)
    response = HttpResponse(status=_STATUS_OF[attempt.result])
    if attempt.again_in_seconds is not None:
        response["Retry-After"] = str(round(attempt.again_in_seconds) + 1)
    return response


def _again(event: str, error: Exception, **fields: object) -> HttpResponse:
    """Ask the caller to try again, after the delay Telegram asked for, if it did."""
    log.warning(event, error=str(error), **fields)
    response = HttpResponse(status=503)
    wait_seconds = getattr(error, "retry_after_seconds", None)
    if wait_seconds:
        response["Retry-After"] = str(round(wait_seconds) + 1)
        response[callback.BUSY_HEADER] = "1"
    return response
