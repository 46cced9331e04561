from django.urls import path

from console.users import bulk, person, views

urlpatterns = [
    path("user", views.user_list, name="users"),
    path("user/add", views.add, name="user-add"),
    path("user/export", views.export, name="users-export"),
    path("user/bulk", bulk.bulk, name="users-bulk"),
    path("user/edit/<int:pk>", views.edit, name="user-edit"),
    path("user/<int:pk>/", person.overview, name="user"),
    path("user/<int:pk>/keys", person.keys, name="user-keys"),
    path("user/<int:pk>/logs", person.logs, name="user-logs"),
    path("user/<int:pk>/top-ups", person.top_ups, name="user-top-ups"),
    path("user/<int:pk>/audit", person.audit, name="user-audit"),
    path("user/<int:pk>/quota", views.quota, name="user-quota"),
    path("user/<int:pk>/status", views.status, name="user-status"),
    path("user/<int:pk>/<slug:action>/ask", views.manage, name="user-manage"),
]
