from django.urls import path

from console.audits import views

urlpatterns = [
    path("audit", views.entries, name="audit"),
    path("audit/export", views.export, name="audit-export"),
    path("audit/<int:pk>/", views.entry, name="audit-entry"),
]
