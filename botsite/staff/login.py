"""Create the same admin login on every web instance, each of which has its own database.

A session is a signed cookie with the user's number and a digest of the password hash. It is valid on another instance
if both are equal there: so the login is the first user of a new database, and its salt is derived from the password,
which all instances share. A new password makes a new salt, which ends old sessions.
"""

import structlog
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import get_hasher, make_password
from django.core.files import locks
from django.core.management import call_command
from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.utils.crypto import salted_hmac

from botsite.staff import pages

log = structlog.get_logger()

# Django replaces a salt of less than 128 bits with a random one at the next login.
_SALT_LENGTH = 32


def prepare() -> None:
    """Create the tables, and the login from ADMIN_USER and ADMIN_PASSWORD. Every process runs this at its start."""
    # One process at a time: SQLite's tables are created once.
    settings.CACHE_DIR.mkdir(parents=True, exist_ok=True)
    with (settings.CACHE_DIR / "logins.lock").open("w") as file:
        locks.lock(file, locks.LOCK_EX)
        call_command("migrate", verbosity=0, interactive=False)
        if settings.ADMIN_PASSWORD:
            _create_login()
        else:
            log.warning("admin_without_login", missing="ADMIN_PASSWORD")
    connection.close()


def _create_login() -> None:
    user = get_user_model().objects.filter(username=settings.ADMIN_USER).first()
    salt = salted_hmac(f"login of {settings.ADMIN_USER}", settings.ADMIN_PASSWORD, algorithm="sha256").hexdigest()
    salt = salt[:_SALT_LENGTH]
    hasher = get_hasher()
    if user and user.password.startswith(f"{hasher.algorithm}$") and hasher.decode(user.password)["salt"] == salt:
        return
    get_user_model().objects.update_or_create(
        username=settings.ADMIN_USER,
        defaults={
            "password": make_password(settings.ADMIN_PASSWORD, salt),
            "is_staff": True,
            "is_superuser": True,
            "is_active": True,
        },
    )


def password_change(request: HttpRequest) -> HttpResponseBase:
    """Change a password, except that of the login from the secret, which would be back at the next start."""
    if request.user.is_authenticated and request.user.get_username() == settings.ADMIN_USER and settings.ADMIN_PASSWORD:
        messages.warning(
            request, "This login's password comes from ADMIN_PASSWORD. Change it there and restart the site."
        )
        return redirect("admin:index")
    return admin.site.password_change(request)


@staff_member_required
def explain_users(request: HttpRequest, path: str) -> HttpResponse:
    """Say why users and groups can't be managed, in place of their pages."""
    text = (
        "Each site has a database of its own: a user added on one would be unknown to the others. Until DATABASE_URL "
        f"names a database that all sites share, {settings.ADMIN_USER} is the only login; ADMIN_PASSWORD holds its "
        "password."
    )
    return pages.error_page(request, 200, "Users need a shared database", text)
