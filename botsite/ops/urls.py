"""The addresses below `/ops/`."""

from django.urls import path

from . import views

app_name = "ops"
urlpatterns = [path("trace/<path:prediction_id>", views.trace, name="trace")]
