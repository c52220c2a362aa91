"""The addresses of the site; `/healthz` and `/readyz` are answered earlier, by botsite/health.py."""

from django.contrib import admin
from django.urls import include, path

from botsite import views
from botsite.staff import attempts, login

admin.autodiscover()
admin.site.site_header = admin.site.site_title = "Object detection service"
admin.site.index_title = "Administration"
# There is no site for people but the admin.
admin.site.site_url = None
admin.site.login_form = attempts.LoginForm

urlpatterns = [
    path("telegram/webhook", views.webhook),
    path("results", views.results),
    path("admin/password_change/", login.password_change),
    path("admin/", admin.site.urls),
    path("ops/", include("botsite.staff.urls")),
]
