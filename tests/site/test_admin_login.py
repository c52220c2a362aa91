"""The admin's login is valid on every site, ends with its password, and grants no more than it should."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

from deploy.local.processes import free_port
from deploy.local.stack import LocalStack
from detection.record import images, predictions, reasons
from detection.record.schemas import Prediction, Status
from tests.support import forked, operators
from tests.support.operators import JOBS, Operator

ROOT = Path(__file__).resolve().parents[2]
PRODUCTION = {
    "PATH": os.environ["PATH"],
    "DJANGO_SETTINGS_MODULE": "botsite.settings",
    "DJANGO_SECRET_KEY": "k" + "abcdefghij0123456789" * 3,
    "POLYBOT_URL": "http://bot.example.com",
    "TELEGRAM_WEBHOOK_SECRET": "s",
    "RESULTS_KEY": "r",
}


@pytest.fixture(scope="module")
def admin(stack: LocalStack) -> Operator:
    return operators.admin(stack)


@pytest.fixture
def failed(stack: LocalStack) -> str:
    """Return the id of a job that failed."""
    identity = uuid4().hex
    images.put(f"photos/{identity}", b"a photo", "image/jpeg")
    predictions.create(Prediction(identity, 7, 7, f"photos/{identity}"))
    predictions.fail(identity, reasons.of("The image is damaged."))
    return identity


@contextmanager
def another_site(stack: LocalStack, **env: str) -> Iterator[str]:
    """Start another site with its own database; yield its address."""
    child = stack.start_site("127.0.0.1", free_port(), **env)
    try:
        address = stack.sites.pop(child)
        child.wait_ready(lambda: operators.answers(address))
        yield address
    finally:
        child.terminate()
        child.wait()


def test_login_is_valid_on_every_site(stack: LocalStack, admin: Operator) -> None:
    addresses = [*stack.sites.values(), *[stack.public_url] * 6]
    others = [Operator(address, cookies=admin.cookies, certificate=stack.certificate) for address in addresses]
    assert [other.get(JOBS).status_code for other in others] == [200] * len(others)


@pytest.mark.slow
def test_login_survives_its_site(stack: LocalStack, admin: Operator) -> None:
    with another_site(stack) as address:
        other = Operator(address, cookies=admin.cookies)
        assert other.get(JOBS).status_code == 200


def test_new_password_ends_old_sessions(stack: LocalStack, admin: Operator) -> None:
    with another_site(stack, ADMIN_PASSWORD="another") as address:
        other = Operator(address, cookies=admin.cookies)
        assert other.get(JOBS).headers["location"].startswith("/admin/login/")
        assert Operator(address).log_in(stack.env["ADMIN_USER"], "another").get(JOBS).status_code == 200


def test_password_from_secret_cannot_be_changed_in_admin(admin: Operator) -> None:
    assert admin.get("/admin/password_change/").headers["location"] == "/admin/"
    assert "ADMIN_PASSWORD" in admin.get("/ops/").text


def test_admin_opens_dashboard(admin: Operator) -> None:
    assert admin.get("/admin/").headers["location"] == "/ops/"


def test_users_are_hidden_where_sites_share_no_database(admin: Operator) -> None:
    assert "/admin/auth/group/" not in admin.get(JOBS).text
    for page in ("user/", "user/add/", "group/"):
        answer = admin.get(f"/admin/auth/{page}")
        assert (answer.status_code, "DATABASE_URL" in answer.text) == (200, True)
    assert 'href="/admin/auth/user/"' in admin.get("/ops/").text


def test_users_are_shown_where_sites_share_a_database() -> None:
    code = (
        "import django; django.setup(); from botsite import urls; from django.contrib import admin; "
        "from django.contrib.auth.models import Group, User; from django.urls import resolve; "
        "print(*map(admin.site.is_registered, (Group, User)), resolve('/admin/auth/user/').view_name)"
    )
    # No driver of a server is installed.
    ended = forked.execute(code, ROOT, PRODUCTION | {"DATABASE_URL": "django.db.backends.dummy://host/name"})
    assert ended.stdout.strip() == "True True admin:auth_user_changelist", ended.stderr


def test_new_users_need_strong_passwords() -> None:
    with pytest.raises(ValidationError) as raised:
        validate_password("password123")
    assert [error.code for error in raised.value.error_list] == ["password_too_short", "password_too_common"]


@pytest.mark.parametrize("page", [JOBS, f"{JOBS}x/change/", f"{JOBS}retry/confirm/?id=x", "/ops/trace/x"])
def test_strangers_get_login_page(stack: LocalStack, page: str) -> None:
    answer = Operator(next(iter(stack.sites.values()))).get(page)
    assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (302, "/admin/login/")


def test_staff_without_permissions_see_and_do_nothing(stack: LocalStack, failed: str) -> None:
    nobody = operators.staff(stack, "nobody", [])
    pages = [JOBS, f"{JOBS}{failed}/change/", f"{JOBS}{failed}/history/", f"/ops/trace/{failed}"]
    assert [nobody.get(page).status_code for page in pages] == [403] * 4
    assert "Jobs" not in nobody.get("/admin/").text
    refused = [nobody.post(f"{JOBS}{name}/confirm/?id={failed}").status_code for name in ("retry", "delete")]
    assert refused == [403, 403]
    assert _status(failed) is Status.FAILED


def test_viewer_sees_jobs_but_changes_nothing(stack: LocalStack, failed: str) -> None:
    viewer = operators.staff(stack, "viewer", ["view_job"])
    page = viewer.get(f"{JOBS}{failed}/change/")
    assert (page.status_code, "The image is damaged." in page.text) == (200, True)
    assert "confirm" not in page.text + viewer.get(JOBS).text
    names, token = ("retry", "resend", "apologise", "delete"), viewer.cookies["csrftoken"]
    posts = [viewer.send(f"{JOBS}{name}/confirm/?id={failed}", csrfmiddlewaretoken=token) for name in names]
    assert [post.status_code for post in posts] == [403] * 4
    assert _status(failed) is Status.FAILED


def test_staff_with_change_permission_may_not_delete(stack: LocalStack, failed: str) -> None:
    changer = operators.staff(stack, "changer", ["view_job", "change_job"])
    page = changer.get(f"{JOBS}{failed}/change/").text
    assert ("retry/confirm" in page, "delete/confirm" in page) == (True, False)
    assert changer.post(f"{JOBS}delete/confirm/?id={failed}").status_code == 403


def test_form_from_another_site_does_nothing(admin: Operator, failed: str) -> None:
    answer = admin.send(f"{JOBS}delete/confirm/?id={failed}")
    assert (answer.status_code, "Form rejected" in answer.text) == (403, True)
    assert _status(failed) is Status.FAILED


def test_django_has_no_warnings_in_production() -> None:
    ended = forked.manage(["check", "--deploy", "--fail-level", "WARNING"], ROOT, PRODUCTION)
    assert (ended.returncode, "no issues" in ended.stdout) == (0, True), ended.stderr


@pytest.mark.slow
def test_production_uses_tls_for_people_and_http_for_workers() -> None:
    code = (
        "import django; django.setup(); from django.test import Client; c = Client(SERVER_NAME='bot.example.com');"
        "plain, worker, page = c.get('/admin/'), c.get('/results'), c.get('/admin/login/', secure=True);"
        "print(plain['Location'], worker.status_code, page['Strict-Transport-Security'], "
        "all(cookie['secure'] for cookie in page.cookies.values()), \"'unsafe\" in page['Content-Security-Policy'])"
    )
    ended = forked.execute(code, ROOT, PRODUCTION)
    printed = "https://bot.example.com/admin/ 403 max-age=31536000; includeSubDomains True False"
    assert ended.stdout.strip() == printed, ended.stderr


def _status(prediction_id: str) -> Status | None:
    found = predictions.find(prediction_id)
    return found.status if found else None
