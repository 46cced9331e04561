from django.urls import path

from console.channel_form import reveal, views

urlpatterns = [
    path("channel/add", views.add, name="channel-add"),
    path("channel/edit/<int:pk>", views.edit, name="channel-edit"),
    path("channel/form", views.part, name="channel-form"),
    path("channel/<int:pk>/reveal", reveal.reveal, name="channel-reveal"),
]
