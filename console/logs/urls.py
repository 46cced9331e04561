from django.urls import path

from console.logs import views

urlpatterns = [
    path("log", views.lines, name="logs"),
    path("log/summary/", views.summary, name="log-summary"),
    path("log/export", views.export, name="log-export"),
    path("log/<int:pk>/", views.line, name="log"),
]
