"""Render pages for operators, with the header, menu and style of Django's admin: errors and questions too."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

import structlog
from botocore.exceptions import BotoCoreError, ClientError
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from kombu.exceptions import OperationalError

from detection.work.dead_letters import NoDeadLetterQueue

log = structlog.get_logger()

_THROTTLED = frozenset(
    {"ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded", "SlowDown"}
)
_RETRY_SECONDS = 5


def render(request: HttpRequest, template: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    """Return the page of `templates/staff/<template>.html`; `context` has its title."""
    context = admin.site.each_context(request) | context
    # Rendered now: an AWS error inside a template would otherwise escape `explained`.
    return TemplateResponse(request, f"staff/{template}.html", context, status=status).render()


class BadLink(ValueError):
    """An address says something that can't be; the text is for the operator."""


class NotFound(LookupError):
    """Nothing has this id or name; the text is for the operator."""


def explained(view: Callable[..., Any]) -> Callable[..., Any]:
    """Turn a view's errors into pages: those of AWS, of permissions, of bad addresses and unknown ids."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            return view(request, *args, **kwargs)
        except NotFound as error:
            return error_page(request, 404, "Not found", str(error))
        except PermissionDenied:
            return error_page(
                request, 403, "Permission denied", "You need another permission for this. Ask a superuser."
            )
        except BadLink as error:
            return error_page(request, 400, "Invalid link", str(error))
        except NoDeadLetterQueue as error:
            return error_page(request, 503, "No dead-letter queue", str(error))
        except (ClientError, BotoCoreError, OperationalError) as error:
            log.warning("page_failed", path=request.path, error=str(error))
            response = error_page(request, 503, *_what_failed(error))
            response["Retry-After"] = str(_RETRY_SECONDS)
            return response

    return wrapped


def error_page(request: HttpRequest, status: int, title: str, text: str) -> HttpResponse:
    """Return the one error page."""
    return render(request, "error", {"title": title, "text": text}, status)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Return the page for a form whose token is missing or wrong (CSRF_FAILURE_VIEW)."""
    text = "The form is too old, was sent by another site, or your browser blocks cookies. Nothing was changed."
    return error_page(request, 403, "Form rejected", text)


def _what_failed(error: Exception) -> tuple[str, str]:
    if not isinstance(error, ClientError):
        return "AWS can't be reached", f"Nothing is lost. Reload the page in a moment. {error}"
    if error.response["Error"].get("Code") in _THROTTLED:
        return "AWS is throttling requests", f"Reload the page in a moment. {error}"
    return "AWS reported an error", str(error)


@dataclass(frozen=True, slots=True)
class Subject:
    """A job or letter that a question is about; `address` is its page, if it has one."""

    name: str
    note: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """A question: "Yes" does it to `rows`, "No" leads to the page `back`. The operator can edit `sentence`.

    `more` says how many follow, where `rows` are only the first. `hidden` are ids that the form sends along.
    """

    title: str
    text: str
    button: str
    rows: tuple[Subject, ...]
    back: str
    back_name: str
    possible: bool = True
    sentence: str = ""
    longest: int = 0
    more: str = ""
    hidden: tuple[str, ...] = ()


def selected(request: HttpRequest, at_most: int) -> list[str]:
    """Return the `id`s of the address, each once, at most this many."""
    return list(dict.fromkeys(request.GET.getlist("id")))[:at_most]


def ask(request: HttpRequest, question: Question) -> HttpResponse:
    """Return the page that asks; its form is sent to the same address."""
    return render(request, "confirm", {"title": question.title, "question": question})
