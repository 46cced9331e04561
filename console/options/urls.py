from django.urls import path

from console.options import views

urlpatterns = [
    path("setting/operation", views.tab, {"name": "operation"}, name="options"),
    path("setting/system", views.tab, {"name": "system"}, name="options-system"),
    path("setting/other", views.tab, {"name": "other"}, name="options-other"),
    path("setting/operation/logs/purge", views.purge, name="options-purge"),
    path("setting/check/oidc", views.discover, name="options-discover"),
    path("setting/check/<slug:what>", views.check, name="options-check"),
    path("setting/preview/<slug:key>", views.preview, name="options-preview"),
    *(
        path(f"setting/{name}/<slug:group_name>", views.save, {"tab_name": name}, name="options-group")
        for name in ("operation", "system", "other")
    ),
]
