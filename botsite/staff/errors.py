"""Turn what goes wrong behind a page for operators into a page that says so, with the status that fits."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import structlog
from botocore.exceptions import BotoCoreError, ClientError
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from kombu.exceptions import OperationalError

from botsite.staff.filters import BadFilter
from botsite.staff.listing import BadCursor

log = structlog.get_logger()

_THROTTLED = frozenset(
    {"ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded", "SlowDown"}
)
_RETRY_SECONDS = 5


class Unknown(LookupError):
    """There is nothing of that id; the text says so to an operator."""


def explained(view: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a view so that an error of AWS, of an address or of an id becomes a page."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            return view(request, *args, **kwargs)
        except Unknown as error:
            return page(request, 404, "Unknown job", str(error))
        except PermissionDenied:
            return page(
                request, 403, "Not allowed", "Your login lacks the permission for this: a superuser can give it."
            )
        except (BadFilter, BadCursor) as error:
            return page(request, 400, "No such list", str(error))
        except (ClientError, BotoCoreError, OperationalError) as error:
            log.warning("page_failed", path=request.path, error=str(error))
            response = page(request, 503, *_what_failed(error))
            response["Retry-After"] = str(_RETRY_SECONDS)
            return response

    return wrapped


def page(request: HttpRequest, status: int, title: str, text: str) -> HttpResponse:
    """Return a page of the admin that says what is wrong."""
    context = admin.site.each_context(request) | {"title": title, "text": text}
    return TemplateResponse(request, "admin/detection/job/trouble.html", context, status=status).render()


def _what_failed(error: Exception) -> tuple[str, str]:
    if isinstance(error, ClientError) and error.response["Error"].get("Code") in _THROTTLED:
        return "Too much at once", f"AWS is throttling this table or bucket: load the page again in a moment. {error}"
    return "AWS does not answer", f"Nothing was lost, and nothing can be shown now. Load the page again. {error}"
