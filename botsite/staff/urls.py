"""The addresses below `/ops/`."""

from django.urls import path
from django.views.generic import RedirectView

from botsite.staff import dead_letters, views

app_name = "ops"
urlpatterns = [
    path("", views.overview, name="overview"),
    path("live", views.live, name="live"),
    path("dead-letters", dead_letters.letters, name="letters"),
    path("dead-letters/", RedirectView.as_view(pattern_name="ops:letters")),
    path("dead-letters/replay", dead_letters.confirm, name="replay"),
    # First, because the path of an id would take the slash.
    path("trace/<path:prediction_id>/", RedirectView.as_view(pattern_name="ops:trace")),
    path("trace/<path:prediction_id>", views.trace, name="trace"),
]
