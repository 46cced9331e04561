from django.urls import path

from console.groups import views

urlpatterns = [
    path("groups", views.group_list, name="groups"),
    path("groups/add", views.add, name="group-add"),
    path("groups/edit", views.edit, name="group-edit"),
    path("groups/delete", views.delete, name="group-delete"),
]
