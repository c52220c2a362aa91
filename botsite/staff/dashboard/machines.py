"""The machines of all roles: what each does, for how long, with which version, and where its log is."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from botsite import roles
from botsite.staff import logs_link
from botsite.staff.dashboard.sources import Snapshot
from botsite.staff.dashboard.tiles import Cell, Row, Section, Table, Tile, jobs, of, tile
from botsite.staff.jobs.filters import JobState
from botsite.standby import MACHINE
from detection.work.reports import UNCHANGED_SECONDS, Report, State
from metrics.cloudwatch import Group, Instance
from metrics.health.events import Event
from metrics.health.findings import Health
from metrics.health.words import count, span

LISTED = "#table-machines"
# Two reports in a row are missing.
SILENT_SECONDS = 2.5 * UNCHANGED_SECONDS
# The older ones are unfolded.
_EVENTS = 5
_STATES = {"Pending": "starting", "Terminating": "leaving", "Detach": "leaving", "Standby": "in standby"}


def section(seen: Snapshot) -> Section:
    """Return how many machines of each role there are, which code and model run, and a line for each machine."""
    groups = seen.groups
    return Section(
        "Machines",
        (
            tile("Workers in service", groups, lambda found: _in_service(found["yolo5"], seen), LISTED),
            tile("Workers wanted", groups, lambda found: _wanted(found["yolo5"]), "#chart-workers"),
            tile("Sites", groups, lambda found: _fixed("polybot", found, seen), LISTED),
            tile("Metric machine", groups, lambda found: _fixed("metricStreamer", found, seen), LISTED),
            replace(versions(seen), link=LISTED),
            replace(models(seen), link=jobs(JobState.SUCCEEDED, since=seen.since)),
        ),
        table=list_machines(seen),
    )


def happened(seen: Snapshot) -> Section:
    """Return the newest events of the day: which machines were launched or ended, and why."""
    rows = tuple(_event(number, one) for number, one in enumerate(seen.events.data or []))
    empty = "Nothing happened to a machine within a day." if seen.events.known else f"Unknown: {seen.events.seen}"
    table = Table("Events", rows[:_EVENTS], rows[_EVENTS:], f"{count(len(rows[_EVENTS:]), 'older event')}", empty)
    return Section("Events", (tile("Newest event", seen.events, lambda found: _newest(found, seen.at)),), table=table)


def list_machines(seen: Snapshot) -> Table:
    """Return the machines that the groups list."""
    groups, reports = seen.groups.data or {}, seen.reports.data or {}
    rows = tuple(row for role, group in groups.items() for row in _rows(role, group, reports, seen.at))
    if seen.standby:
        rows += (_standby(seen.standby, seen.at),)
    empty = f"Unknown: {seen.groups.seen}" if not seen.groups.known else "No machine runs."
    return Table("Machines", rows, empty=empty)


def does(role: str, instance: Instance, report: Report | None, now: float) -> str:
    """Return what a machine does, as its group and its process say."""
    state = next((word for start, word in _STATES.items() if instance.state.startswith(start)), "")
    if state or report is None:
        return state or "in service, no report yet"
    age = now - report.at.timestamp()
    if age > SILENT_SECONDS:
        return f"silent for {span(age)}"
    if report.state is not State.READY:
        return report.state
    return roles.named(role).does or (f"working on {count(report.busy, 'photo')}" if report.busy else "idle")


def workers(seen: Snapshot) -> str:
    """Return what the workers in service do: "2 working, 1 idle"; empty if that is unknown."""
    group, reports = seen.workers, seen.reports.data
    if group is None or not reports:
        return ""
    serving = [one for one in group.instances if one.state == "InService"]
    said = (does(roles.YOLO5.name, one, reports.get(one.id), seen.at) for one in serving)
    # "working on 2 photos" and "silent for 3 min" by their first word.
    words = Counter("no report yet" if text.startswith("in service") else text.split()[0] for text in said)
    return ", ".join(f"{number} {word}" for word, number in words.items())


def versions(seen: Snapshot) -> Tile:
    """Return which versions of the code run."""
    if not seen.reports.known:
        return Tile("Code", "unknown", seen.reports.seen, state=Health.UNKNOWN)
    running = _running(seen)
    found = Counter(report.version for report in running.values())
    if not found:
        return Tile("Code", "–", "no machine has reported yet")
    machines = count(len(running), "machine")
    if len(found) == 1:
        return Tile("Code", next(iter(found)), f"on {'the one machine' if len(running) == 1 else f'all {machines}'}")
    parts = ", ".join(f"{version} on {number}" for version, number in found.most_common())
    return Tile("Code", f"{len(found)} versions", parts)


def models(seen: Snapshot) -> Tile:
    """Return which models run, or ran last."""
    found = sorted({report.model for report in _running(seen).values() if report.model})
    if found:
        return Tile("Model", ", ".join(found), "loaded by the workers")
    last = seen.photos.data.model if seen.photos.data else ""
    return Tile("Model", last or "–", "of the newest answer" if last else "no worker runs")


def silent(role: str, seen: Snapshot) -> int:
    """Return how many machines of a role are in service although their process has said nothing for too long."""
    group, reports = (seen.groups.data or {}).get(role), seen.reports.data or {}
    found = group.instances if group else ()
    return sum(does(role, one, reports.get(one.id), seen.at).startswith("silent") for one in found)


def _in_service(group: Group, seen: Snapshot) -> Tile:
    parts = [workers(seen), f"{group.pending} more starting" if group.pending else ""]
    return of(group.in_service, "; ".join(filter(None, parts)), bad=silent("yolo5", seen) > 0)


def _wanted(group: Group) -> Tile:
    if group.suspended:
        return of(group.desired, f"the group may not {', '.join(group.suspended)}: resume that", bad=True)
    return of(group.desired, f"{group.minimum} to {group.maximum}")


def _fixed(role: str, groups: Mapping[str, Group], seen: Snapshot) -> Tile:
    if (group := groups.get(role)) is None:
        return of("–", "the group is gone: run `manage.py provision`", bad=True)
    none = group.in_service == 0 < group.desired
    return of(group.in_service, f"of {group.desired} in service", bad=none or silent(role, seen) > 0)


def _running(seen: Snapshot) -> Mapping[str, Report]:
    reports = seen.reports.data or {}
    return {one: report for one, report in reports.items() if seen.at - report.at.timestamp() <= SILENT_SECONDS}


def _standby(report: Report, now: float) -> Row:
    """Return the row of the standby worker, which runs on the metric's machine and belongs to no group."""
    busy = f"working on {count(report.busy, 'photo')}" if report.busy else "idle"
    doing = busy if report.state is State.READY else str(report.state)
    return Row(
        key=MACHINE,
        cells=(
            Cell("Role", "yolo5, on standby"),
            Cell("Machine", "the metric's"),
            Cell("Zone", "–"),
            Cell("Does", doing),
            Cell("Runs for", span(now - report.since.timestamp())),
            Cell("Version", report.version),
            Cell("Log", "manage.py logs metricStreamer"),
        ),
    )


def _rows(role: str, group: Group, reports: Mapping[str, Report], now: float) -> Iterator[Row]:
    for one in group.instances:
        report = reports.get(one.id)
        doing = does(role, one, report, now)
        log = logs_link.of_machine(role, one.id)
        yield Row(
            key=one.id,
            cells=(
                Cell("Role", role),
                Cell("Machine", one.id),
                Cell("Zone", one.zone),
                Cell("Does", doing if one.healthy else f"{doing}, unhealthy"),
                Cell("Runs for", span(now - report.since.timestamp()) if report else "–"),
                Cell("Version", report.version if report else "–"),
                Cell("Log", "log" if log else f"manage.py logs {role}", log),
            ),
            bad=doing.startswith("silent"),
        )


def _newest(found: Sequence[Event], now: float) -> Tile:
    return of(f"{span(now - found[0].at.timestamp())} ago", found[0].text) if found else of("–", "none within a day")


def _event(number: int, one: Event) -> Row:
    cells = (Cell("Time", f"{one.at:%m-%d %H:%M:%S}"), Cell("What", one.text))
    return Row(f"event-{number}", cells, bad=one.failed)
