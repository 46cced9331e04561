from django.urls import path

from console.analytics import views

urlpatterns = [
    path("analytics", views.analytics_page, name="analytics"),
    path("analytics/series.csv", views.download, name="analytics-csv"),
]
