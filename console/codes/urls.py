from django.urls import path

from console.codes import bulk, views

urlpatterns = [
    path("redemption", views.code_list, name="codes"),
    path("redemption/add", views.add, name="code-add"),
    path("redemption/bulk", bulk.bulk, name="codes-bulk"),
    path("redemption/clear/<slug:state>", bulk.clear, name="codes-clear"),
    path("redemption/export/<slug:kind>", views.export, name="codes-export"),
    path("redemption/edit/<int:pk>", views.edit, name="code-edit"),
    path("redemption/<int:pk>/status", views.status, name="code-status"),
    path("redemption/<int:pk>/reveal", views.reveal, name="code-reveal"),
    path("redemption/<int:pk>/delete", views.delete, name="code-delete"),
]
