"""The dashboard: how the service is doing right now, and how it did."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET

from botsite.staff import access, pages
from botsite.staff.dashboard import alarms, charts, machines, photos, queue, ranges, sources
from botsite.staff.dashboard.sources import Snapshot
from botsite.staff.dashboard.tiles import Section


@require_GET
@access.staff
def open_admin(request: HttpRequest) -> HttpResponse:
    """Lead to the dashboard; staff who may not see it get the admin's own first page."""
    return redirect("ops:dashboard") if access.may(request.user, "view") else admin.site.index(request)


@require_GET
@access.needs("view")
def show_dashboard(request: HttpRequest) -> HttpResponse:
    """Show the whole page; it then fetches `live` again and again."""
    # Numbers and charts need the whole width.
    context = {"title": "Dashboard", "is_nav_sidebar_enabled": False, "spans": ranges.RANGES}
    return pages.render(request, "dashboard", context | _now(request))


@require_GET
@access.needs("view")
def live(request: HttpRequest) -> HttpResponse:
    """Return the part of the page that changes."""
    return render(request, "staff/live.html", _now(request))


def sections(seen: Snapshot) -> list[Section]:
    """Return the sections of the page, from the queue to the alarms; what could not be read is shown as unknown."""
    queued, photo = queue.section(seen), photos.section(seen)
    return [queued, photo, *photos.limited(seen), machines.section(seen), machines.happened(seen), alarms.section(seen)]


def _now(request: HttpRequest) -> dict[str, Any]:
    seen = sources.everything.snapshot(ranges.from_query(request.GET))
    found = sections(seen)
    tiles = [tile for section in found for tile in section.tiles]
    return {
        "sections": found,
        "banners": list(_banners(seen)),
        "turn": ("resume" if seen.paused.data else "pause") if access.may(request.user, "change") else "",
        "attention": [tile for tile in tiles if tile.bad],
        "unknown": sum(tile.unknown for tile in tiles),
        "span": seen.span,
        "at": datetime.fromtimestamp(seen.at, UTC),
        "width": charts.WIDTH,
        "height": charts.HEIGHT,
    }


def _banners(seen: Snapshot) -> Iterator[str]:
    """Say what an operator has changed for a while: the service is paused, its workers are held."""
    if not seen.paused.known:
        yield f"Whether the service is paused is unknown: {seen.paused.seen}"
    elif seen.paused.data:
        paused = str(seen.paused.data)
        yield f"{paused[0].upper()}{paused[1:]}. Photos are kept, and answered after the pause."
    if not seen.scheduled.known:
        yield f"Whether the workers are held is unknown: {seen.scheduled.seen}"
    now = datetime.fromtimestamp(seen.at, UTC)
    for action in seen.scheduled.data or []:
        day = "" if action.at.date() == now.date() else f"{action.at:%Y-%m-%d} "
        yield f"Workers: {action.name}, until {day}{action.at:%H:%M} UTC."
