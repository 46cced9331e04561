from django.urls import path

from console.runtime import views

urlpatterns = [path("runtime", views.runtime, name="runtime")]
