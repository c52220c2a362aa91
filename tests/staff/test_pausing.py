"""The service is paused and resumed from the dashboard: after a question, by those who may, on the record."""

import html
import re
from collections.abc import Iterator
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry

from botsite import pause
from deploy.local.stack import LocalStack
from tests.support import operators
from tests.support.faulty import FaultySite, failing
from tests.support.operators import Operator
from tests.support.processes import wait_until

PAGES = ("/ops/pause", "/ops/resume")


@pytest.fixture(scope="module")
def admin(stack: LocalStack) -> Operator:
    return operators.admin(stack)


@pytest.fixture
def table(stack: LocalStack) -> Iterator[str]:
    """Return the table of the service, which is not paused afterwards."""
    yield stack.env["PREDICTIONS_TABLE"]
    pause.end(stack.env["PREDICTIONS_TABLE"])


def text(operator: Operator, page: str) -> str:
    return html.unescape(operator.get(page).text)


def recorded(stack: LocalStack) -> list[str]:
    with operators.logins(stack, next(iter(stack.sites.values()))) as database:
        entries = LogEntry.objects.using(database).filter(object_id="service").order_by("pk")
        return [entry.change_message for entry in entries]


def test_pause_is_asked_done_and_recorded(admin: Operator, stack: LocalStack, table: str) -> None:
    before = len(recorded(stack))
    asked = text(admin, "/ops/pause")
    assert "kept for 30 days" in asked
    assert ("Yes, pause" in asked, pause.read(table)) == (True, None)
    assert admin.post("/ops/pause").headers["location"] == "/ops/"
    made = pause.read(table)
    assert made
    assert made.by == f"{stack.env['ADMIN_USER']} on the dashboard"
    assert f"The service is now {made}." in text(admin, "/ops/")
    assert recorded(stack)[before:] == ["Paused."]
    wait_until(lambda: 'href="/ops/resume"' in text(admin, "/ops/live"))


def test_second_pause_keeps_first(admin: Operator, stack: LocalStack, table: str) -> None:
    pause.begin(table, "arn:aws:iam::1:user/jo")
    first, before = pause.read(table), recorded(stack)
    assert f"already {first}" in text(admin, "/ops/pause")
    assert "Yes, pause" not in text(admin, "/ops/pause")
    # A page that was open before somebody else paused.
    admin.post("/ops/pause")
    assert f"already {first}" in text(admin, "/ops/")
    assert (pause.read(table), recorded(stack)) == (first, before)


def test_resume_is_asked_done_and_recorded(admin: Operator, stack: LocalStack, table: str) -> None:
    made, _ = pause.begin(table, "arn:aws:iam::1:user/jo")
    asked = text(admin, "/ops/resume")
    assert f"The service is {made}." in asked
    assert re.search(r"\d+ jobs? waits?", asked)
    admin.post("/ops/resume")
    assert f"Resumed: the service was {made}." in text(admin, "/ops/")
    assert (pause.read(table), recorded(stack)[-1]) == (None, f"Resumed: it was {made}.")


def test_resume_without_pause_changes_nothing(admin: Operator, stack: LocalStack, table: str) -> None:
    before = recorded(stack)
    assert "Yes, resume" not in text(admin, "/ops/resume")
    admin.post("/ops/resume")
    assert "The service was not paused." in text(admin, "/ops/")
    assert recorded(stack) == before
    wait_until(lambda: 'href="/ops/pause"' in text(admin, "/ops/live"))


def test_only_staff_who_may_change_jobs_pause(stack: LocalStack, table: str) -> None:
    stranger = Operator(next(iter(stack.sites.values())))
    viewer = operators.staff(stack, f"viewer-{uuid4().hex}", ["view_job"])
    for page in PAGES:
        assert stranger.send(page).status_code == 403
        assert stranger.get(page).headers["location"].startswith("/admin/login/")
        assert (viewer.get(page).status_code, viewer.post(page).status_code) == (403, 403)
    assert "/ops/pause" not in viewer.get("/ops/").text
    changer = operators.staff(stack, f"changer-{uuid4().hex}", ["view_job", "change_job"])
    assert changer.post("/ops/pause").status_code == 302
    assert pause.read(table)


@pytest.mark.parametrize("page", PAGES)
def test_form_from_another_site_changes_nothing(admin: Operator, table: str, page: str) -> None:
    before = pause.read(table)
    assert "Form rejected" in admin.send(page).text
    assert pause.read(table) == before


def test_silent_table_is_told(faulty_site: FaultySite, stack: LocalStack) -> None:
    operator = operators.admin(stack, faulty_site.url)
    faulty_site.break_(failing("dynamodb", "GetItem", "throttled"))
    answer = operator.get("/ops/pause")
    faulty_site.repair()
    assert (answer.status_code, "throttling" in answer.text) == (503, True)
