"""Say what an operator has changed for a while: the service is paused, or its workers are held."""

from datetime import UTC, datetime

from botsite.staff.sources import Snapshot


def of(seen: Snapshot) -> list[str]:
    """Return a sentence for each change that is in force, and for each that can't be read."""
    found = []
    if not seen.paused.known:
        found.append(f"Whether the service is paused is unknown: {seen.paused.reason}")
    elif seen.paused.value:
        paused = str(seen.paused.value)
        found.append(f"{paused[0].upper()}{paused[1:]}. Photos are kept, and answered after `manage.py resume`.")
    if not seen.scheduled.known:
        found.append(f"Whether the workers are held is unknown: {seen.scheduled.reason}")
    now = datetime.fromtimestamp(seen.at, UTC)
    for action in seen.scheduled.value or []:
        day = "" if action.at.date() == now.date() else f"{action.at:%Y-%m-%d} "
        found.append(f"Workers: {action.name}, until {day}{action.at:%H:%M} UTC.")
    return found
