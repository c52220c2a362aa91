"""Logs are events with fields, one JSON object per line, and never contain the bot token."""

import io
import json
import logging
from collections.abc import Iterator

import httpx
import pytest
import structlog

from botsite import logs
from deploy.local.stack import LocalStack

TOKEN = "123456789:AAH-abcdefghijklmnopqrstuvwxyz_12345"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Return what the root logger writes, formatted as in production."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.formatter())
    logging.getLogger().addHandler(handler)
    yield stream
    logging.getLogger().removeHandler(handler)


def test_event_is_one_json_object_with_its_prediction_id(lines: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(prediction_id="p1"):
        structlog.get_logger("test").warning("job_failed", error="why", job_ms=7)
    event = json.loads(lines.getvalue())
    time = event.pop("time")
    assert (len(time), time[-1]) == (len("2026-01-01T00:00:00.000Z"), "Z")
    assert event == {"level": "warning", "event": "job_failed", "prediction_id": "p1", "error": "why", "job_ms": 7}


def test_token_is_hidden_in_lines_of_libraries(lines: io.StringIO) -> None:
    log = logging.getLogger("some.library")
    log.warning("POST https://api.telegram.org/bot%s/getMe", TOKEN)
    log.warning("quoted %s", TOKEN.replace(":", "%3A"))
    try:
        raise ValueError(f"bad token {TOKEN}")
    except ValueError:
        log.exception("traceback")
    assert TOKEN.partition(":")[2] not in lines.getvalue()
    assert all("<token>" in line for line in lines.getvalue().splitlines())


def test_httpx_at_info_logs_no_token(lines: io.StringIO, stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> None:
    logger = logging.getLogger("httpx")
    monkeypatch.setattr(logger, "level", logging.INFO)
    monkeypatch.setattr(logging.getLogger(), "level", logging.INFO)
    logger.manager._clear_cache()  # type: ignore[attr-defined]
    httpx.get(f"{stack.telegram_url}/bot{stack.env['TELEGRAM_TOKEN']}/getMe").raise_for_status()
    assert "HTTP Request: GET" in lines.getvalue()
    assert stack.env["TELEGRAM_TOKEN"] not in lines.getvalue()
