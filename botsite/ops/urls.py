"""The addresses below `/ops/`."""

from django.urls import path

from . import replay, views

app_name = "ops"
urlpatterns = [
    path("", views.overview, name="overview"),
    path("live", views.live, name="live"),
    path("dead-letters", replay.letters, name="letters"),
    path("dead-letters/replay", replay.confirm, name="replay"),
    path("trace/<path:prediction_id>", views.trace, name="trace"),
]
