"""CloudWatch counts a few events from the log lines, without ids in dimensions, and only where it reads them."""

import io
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from django.conf import settings

from botsite import counters, logs
from botsite.counters import COUNTED, NAMESPACE, TIMED
from deploy import stacks
from deploy.cfn import template

ROOT = Path(__file__).resolve().parents[2]
GROUP = "/objdet/polybot"


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Return what a process writes, as the log driver reads it."""
    monkeypatch.setattr(settings, "LOG_GROUP", GROUP)
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.formatter())
    logging.getLogger().addHandler(handler)
    yield stream
    logging.getLogger().removeHandler(handler)


def last(lines: io.StringIO) -> dict[str, Any]:
    line: dict[str, Any] = json.loads(lines.getvalue().splitlines()[-1])
    return line


def test_counted_event_follows_embedded_metric_format(lines: io.StringIO) -> None:
    structlog.get_logger("test").warning("answer_delivered", chat_id=7, prediction_id="p1", answer_ms=1200)
    line = last(lines)
    stamp = line.pop("_aws")
    assert isinstance(stamp.pop("Timestamp"), int)
    metrics = [{"Name": "answer_delivered", "Unit": "Count"}, {"Name": "answer_ms", "Unit": "Milliseconds"}]
    assert stamp == {"CloudWatchMetrics": [{"Namespace": NAMESPACE, "Dimensions": [["LogGroup"]], "Metrics": metrics}]}
    assert (line["answer_delivered"], line["answer_ms"], line["LogGroup"], line["chat_id"]) == (1, 1200, GROUP, 7)


def test_unknown_time_is_not_a_metric(lines: io.StringIO) -> None:
    structlog.get_logger("test").warning("answer_delivered", answer_ms=None)
    assert [metric["Name"] for metric in last(lines)["_aws"]["CloudWatchMetrics"][0]["Metrics"]] == ["answer_delivered"]


def test_other_events_are_unchanged(lines: io.StringIO) -> None:
    structlog.get_logger("test").warning("machine_leaving", reason="spot")
    assert not {"_aws", "LogGroup"} & last(lines).keys()


def test_nothing_is_counted_without_log_group() -> None:
    assert counters.counted({"event": "job_sent"}, "") == {"event": "job_sent"}


@pytest.mark.parametrize("name", sorted(COUNTED))
def test_code_logs_counted_event(name: str) -> None:
    code = [path for folder in ("botsite", "detection", "metrics") for path in (ROOT / folder).rglob("*.py")]
    assert any(f'"{name}"' in path.read_text() for path in code if path.name != "counters.py")


def test_cloudwatch_dashboard_is_json_and_shows_counted_metrics() -> None:
    found = template.read(stacks.TEMPLATES / "alarms.yaml").all_resources["Dashboard"]["Properties"]["DashboardBody"]
    body = re.sub(r"\$\{(BacklogTarget|OldestJobSeconds)\}", "1", found["Fn::Sub"][0])
    body = body.replace("${Events}", found["Fn::Sub"][1]["Events"])
    widgets = json.loads(body)["widgets"]
    metrics = [metric for widget in widgets for metric in widget["properties"].get("metrics", [])]
    ours = [metric[1:4] for metric in metrics if metric[0] == NAMESPACE]
    assert {name for name, *_ in ours} <= {*COUNTED, *TIMED}
    assert {(key, group.partition("}/")[2]) for _, key, group in ours} == {
        ("LogGroup", "polybot"),
        ("LogGroup", "yolo5"),
        ("LogGroup", "metrics"),
    }
