from django.urls import path

from console.keys import usage, views

urlpatterns = [
    path("token", views.key_list, name="keys"),
    path("token/add", views.add, name="key-add"),
    path("token/reveal", views.reveal_many, name="keys-reveal"),
    path("token/edit/<int:pk>", views.edit, name="key-edit"),
    path("token/<int:pk>", usage.usage, name="key-usage"),
    path("token/<int:pk>/series.csv", usage.download, name="key-usage-csv"),
    path("token/<int:pk>/status", views.toggle, name="key-status"),
    path("token/<int:pk>/delete", views.delete, name="key-delete"),
    path("token/<int:pk>/reveal", views.reveal, name="key-reveal"),
]
