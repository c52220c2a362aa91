"""The dashboard: how the service is doing right now, and how it did."""

from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from botsite.staff import access, banners, charts, pages, sections, sources, time_ranges


@require_GET
@access.needs("view")
def show(request: HttpRequest) -> HttpResponse:
    """Show the whole page; it then fetches `live` again and again."""
    # Numbers and charts need the whole width.
    context = {"title": "Dashboard", "is_nav_sidebar_enabled": False, "spans": time_ranges.RANGES}
    return pages.render(request, "dashboard", context | _now(request))


@require_GET
@access.needs("view")
def live(request: HttpRequest) -> HttpResponse:
    """Return the part of the page that changes."""
    return render(request, "staff/live.html", _now(request))


def _now(request: HttpRequest) -> dict[str, Any]:
    seen = sources.everything.snapshot(time_ranges.read(request.GET))
    found = sections.all_of(seen)
    return {
        "sections": found,
        "banners": banners.of(seen),
        "attention": sections.attention(found),
        "unknown": sections.unknown(found),
        "span": seen.span,
        "at": datetime.fromtimestamp(seen.at, UTC),
        "width": charts.WIDTH,
        "height": charts.HEIGHT,
    }
