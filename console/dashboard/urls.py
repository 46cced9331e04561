from django.urls import path

from console.dashboard import views

urlpatterns = [
    path("dashboard", views.dashboard, name="dashboard"),
    path("dashboard/series.csv", views.download, name="dashboard-csv"),
]
