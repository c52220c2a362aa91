"""Put numbers into words."""

from detection.record import timeline


def count(number: int, noun: str) -> str:
    """Return "1 photo", "2 photos"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def span(seconds: float | None) -> str:
    """Return a time in a readable unit, "95 s", "3 min 20 s" or "2 d 5 h"; a dash for None."""
    if seconds is None:
        return "–"
    if seconds < 120:
        return f"{max(seconds, 0):.0f} s"
    days = int(seconds // 86_400)
    return f"{days} d {seconds % 86_400 // 3600:.0f} h" if days else timeline.readable(round(seconds) * 1000)
