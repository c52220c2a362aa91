"""Write a load test down: a text for people, everything that was seen as JSON, when the photos came, and the plot."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.loadtest import plot
from deploy.loadtest.records import Photo
from deploy.loadtest.report import Report
from deploy.loadtest.screen import PERCENTS
from deploy.loadtest.tally import percentile


def save(report: Report, folder: Path, options: Mapping[str, Any]) -> None:
    """Write report.txt, report.json, report.png, and trace.csv, which `simulate_scaling --trace` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.txt").write_text(report.text())
    (folder / "report.json").write_text(json.dumps(_json(report, options), indent=1, default=str) + "\n")
    lines = ["seconds,photos", *(f"{seconds:.3f},1" for seconds in report.sent())]
    (folder / "trace.csv").write_text("\n".join(lines) + "\n")
    plot.draw(report, folder / "report.png")


def _json(report: Report, options: Mapping[str, Any]) -> dict[str, Any]:
    run, seconds = report.run, [wait for _, wait in report.waits()]
    return {
        "title": report.title,
        "options": dict(options),
        "started_at": datetime.fromtimestamp(run.started_at, UTC).isoformat(timespec="milliseconds"),
        "verdict": report.verdict(),
        "tally": asdict(report.tally),
        "seconds_to_answer": {f"p{percent}": percentile(seconds, percent) for percent in (*PERCENTS, 100)},
        "sites_clock_ahead_seconds": report.ahead,
        "target": report.target,
        "notes": run.notes,
        "samples": [asdict(sample) for sample in run.samples],
        "points": [asdict(point) for point in run.points],
        "photos": [_photo(report, photo) for photo in run.photos],
    }


def _photo(report: Report, photo: Photo) -> dict[str, Any]:
    """Return a photo's story; times in seconds after the start, by this machine's clock."""
    start, answered = report.run.started_at, photo.delivered_at
    return {
        "prediction_id": photo.prediction_id,
        "chat_id": photo.chat_id,
        "sent": None if photo.sent_at is None else round(photo.sent_at - start, 3),
        "taken": None if photo.taken_at is None else round(photo.taken_at - start, 3),
        "answered": None if answered is None else round(answered - report.ahead - start, 3),
        "posts": photo.posts,
        "status": photo.prediction.status if photo.prediction else None,
        "delivery": photo.prediction.delivery if photo.prediction else None,
        "received": photo.received,
    }
