"""Turn what goes wrong behind a page for operators into a page that explains it, with the right status."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import structlog
from botocore.exceptions import BotoCoreError, ClientError
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from kombu.exceptions import OperationalError

from botsite.staff import pages
from botsite.staff.job_filters import BadFilter
from botsite.staff.job_query import BadCursor
from detection.work.dead_letters import NoDeadLetterQueue

log = structlog.get_logger()

_THROTTLED = frozenset(
    {"ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded", "SlowDown"}
)
_RETRY_SECONDS = 5


class NotFound(LookupError):
    """Nothing has this id or name; the text is for the operator."""


def explained(view: Callable[..., Any]) -> Callable[..., Any]:
    """Turn a view's errors into pages: those of AWS, of permissions, of bad addresses and unknown ids."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            return view(request, *args, **kwargs)
        except NotFound as error:
            return page(request, 404, "Not found", str(error))
        except PermissionDenied:
            return page(request, 403, "Permission denied", "You need another permission for this. Ask a superuser.")
        except (BadFilter, BadCursor) as error:
            return page(request, 400, "Invalid link", str(error))
        except NoDeadLetterQueue as error:
            return page(request, 503, "No dead-letter queue", str(error))
        except (ClientError, BotoCoreError, OperationalError) as error:
            log.warning("page_failed", path=request.path, error=str(error))
            response = page(request, 503, *_what_failed(error))
            response["Retry-After"] = str(_RETRY_SECONDS)
            return response

    return wrapped


def page(request: HttpRequest, status: int, title: str, text: str) -> HttpResponse:
    """Return the one error page."""
    return pages.render(request, "error", {"title": title, "text": text}, status)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Return the page for a form whose token is missing or wrong (CSRF_FAILURE_VIEW)."""
    text = "The form is too old, was sent by another site, or your browser blocks cookies. Nothing was changed."
    return page(request, 403, "Form rejected", text)


def _what_failed(error: Exception) -> tuple[str, str]:
    if not isinstance(error, ClientError):
        return "AWS can't be reached", f"Nothing is lost. Reload the page in a moment. {error}"
    if error.response["Error"].get("Code") in _THROTTLED:
        return "AWS is throttling requests", f"Reload the page in a moment. {error}"
    return "AWS reported an error", str(error)
