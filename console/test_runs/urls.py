from django.urls import path

from console.test_runs import views

urlpatterns = [
    path("channel/test-all", views.begin, name="channels-test"),
    path("test-runs", views.run_list, name="test-runs"),
    path("test-runs/current", views.current, name="test-runs-current"),
    path("test-runs/<int:pk>", views.run_page, name="test-run"),
    path("test-runs/<int:pk>/cancel", views.cancel, name="test-run-cancel"),
    path("test-runs/<int:pk>/retry", views.retry, name="test-run-retry"),
    path("test-runs/<int:pk>/disable-failed", views.disable_failed, name="test-run-disable-failed"),
    path("test-runs/<int:pk>/results.csv", views.results_csv, name="test-run-csv"),
]
