from django.urls import path

from console.keys import views

urlpatterns = [
    path("token", views.key_list, name="keys"),
    path("token/add", views.add, name="key-add"),
    path("token/reveal", views.reveal_many, name="keys-reveal"),
    path("token/edit/<int:pk>", views.edit, name="key-edit"),
    path("token/<int:pk>/status", views.toggle, name="key-status"),
    path("token/<int:pk>/delete", views.delete, name="key-delete"),
    path("token/<int:pk>/reveal", views.reveal, name="key-reveal"),
]
