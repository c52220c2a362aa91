"""The addresses of the site; `/healthz` and `/readyz` are answered earlier, by botsite/health.py."""

from django.contrib import admin
from django.urls import path

from . import views

urlpatterns = [
    path("telegram/webhook", views.webhook),
    path("results", views.results),
    path("admin/", admin.site.urls),
]
