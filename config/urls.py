"""Console pages and /api, by including each app's."""

from django.urls import include, path, re_path

from api.views import Unknown

urlpatterns = [
    path("api/", include("api.urls")),
    re_path("^api", Unknown.as_view()),
    path("", include("console.urls")),
]

handler500 = "console.errors.server_error"
