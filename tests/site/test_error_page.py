"""Whatever goes wrong behind a page for operators becomes the one error page, with the right status."""

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from botsite.staff import pages
from botsite.staff.jobs.filters import BadFilter
from botsite.staff.jobs.query import BadCursor
from detection.work.dead_letters import NoDeadLetterQueue

THROTTLED = ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow down"}}, "Query")
DENIED = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "Query")
UNREACHABLE = EndpointConnectionError(endpoint_url="http://127.0.0.1:1")


@pytest.fixture
def request_() -> HttpRequest:
    request = RequestFactory().get("/ops/")
    request.user = AnonymousUser()
    return request


@pytest.mark.parametrize(
    ("error", "status", "title"),
    [
        (pages.NotFound("No job has the id x."), 404, "Not found"),
        (PermissionDenied(), 403, "Permission denied"),
        (BadFilter("Unknown filter"), 400, "Invalid link"),
        (BadCursor("This link belongs to another list"), 400, "Invalid link"),
        (NoDeadLetterQueue("The queue has no redrive policy"), 503, "No dead-letter queue"),
        (THROTTLED, 503, "AWS is throttling requests"),
        (DENIED, 503, "AWS reported an error"),
        (UNREACHABLE, 503, "AWS can&#x27;t be reached"),
    ],
)
def test_error_becomes_page(request_: HttpRequest, error: Exception, status: int, title: str) -> None:
    @pages.explained
    def failing(request: HttpRequest) -> HttpResponse:
        raise error

    page = failing(request_)
    assert (page.status_code, f"<h1>{title}</h1>" in page.content.decode()) == (status, True)


def test_bug_is_not_hidden(request_: HttpRequest) -> None:
    @pages.explained
    def failing(request: HttpRequest) -> HttpResponse:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing(request_)
