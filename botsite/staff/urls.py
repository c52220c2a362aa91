"""The addresses below `/ops/`; those of jobs are in jobs/admin.py."""

from django.urls import path
from django.views.generic import RedirectView

from botsite.staff import dead_letters, pausing
from botsite.staff.dashboard import page as dashboard
from botsite.staff.jobs import listing
from botsite.staff.jobs import page as job_page

app_name = "ops"
urlpatterns = [
    path("", dashboard.show_dashboard, name="dashboard"),
    path("live", dashboard.live, name="live"),
    path("pause", pausing.pause_service, name="pause"),
    path("resume", pausing.resume_service, name="resume"),
    path("dead-letters", dead_letters.list_letters, name="letters"),
    path("dead-letters/", RedirectView.as_view(pattern_name="ops:letters")),
    path("dead-letters/replay", dead_letters.replay, name="replay"),
    path("dead-letters/delete", dead_letters.delete, name="delete_letters"),
    path("dead-letters/delete-all", dead_letters.delete_all, name="delete_all_letters"),
    path("feedback", listing.list_feedback, name="feedback"),
    path("feedback/", RedirectView.as_view(pattern_name="ops:feedback")),
    # First, because an id in the path may contain the slash.
    path("trace/<path:prediction_id>/", RedirectView.as_view(pattern_name="ops:trace")),
    path("trace/<path:prediction_id>", job_page.trace, name="trace"),
]
