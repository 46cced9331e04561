"""Console pages and /api, by including each app's."""

from django.urls import include, path

urlpatterns = [path("", include("console.urls"))]
