"""The dashboard: how the service is doing right now."""

from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from botsite.staff import access, charts, pages, sources, tiles


@require_GET
@access.needs("view")
def show(request: HttpRequest) -> HttpResponse:
    """Show the whole page; it then fetches `live` again and again."""
    return pages.render(request, "dashboard", {"title": "Dashboard"} | _now())


@require_GET
@access.needs("view")
def live(request: HttpRequest) -> HttpResponse:
    """Return the part of the page that changes."""
    return render(request, "staff/live.html", _now())


def _now() -> dict[str, Any]:
    seen = sources.everything.snapshot()
    at = datetime.fromtimestamp(seen.at, UTC)
    return {"sections": tiles.sections(seen), "at": at, "width": charts.WIDTH, "height": charts.HEIGHT}
