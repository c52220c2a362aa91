"""The addresses of the site; botsite/health.py answers `/healthz` and `/readyz` before these are looked at."""

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.urls import include, path

from botsite import views
from botsite.staff import attempts, login
from botsite.staff.dashboard import page as dashboard
from botsite.staff.jobs.admin import JobAdmin
from detection.models import Job

admin.autodiscover()
admin.site.register(Job, JobAdmin)
admin.site.site_header = admin.site.site_title = "Object detection service"
admin.site.index_title = "Administration"
# Without a public site, the admin has nothing to link to.
admin.site.site_url = None
admin.site.login_form = attempts.LoginForm

urlpatterns = [
    path("telegram/webhook", views.webhook),
    path("results", views.results),
    path("admin/password_change/", login.password_change),
    path("admin/", dashboard.open_admin),
    path("admin/", admin.site.urls),
    path("ops/", include("botsite.staff.urls")),
]

# An SQLite file is the database of one site.
if settings.DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    admin.site.unregister((Group, User))
    urlpatterns.insert(0, path("admin/auth/<path:path>", login.explain_users))
