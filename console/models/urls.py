from django.urls import path

from console.models import views

urlpatterns = [path("models", views.model_list, name="models")]
