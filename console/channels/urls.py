from django.urls import path

from console.channels import bulk_views, tag_views, views

urlpatterns = [
    path("channel", views.channel_list, name="channels"),
    path("channel/bulk", bulk_views.many, name="channels-bulk"),
    path("channel/tag", tag_views.tag_page, name="channels-tag"),
    path("channel/export.csv", bulk_views.export, name="channels-export"),
    path("channel/balances", views.all_balances, name="channels-balances"),
    path("channel/delete-disabled", views.delete_disabled, name="channels-delete-disabled"),
    path("channel/find-key", views.find_key, name="channels-find-key"),
    path("channel/<int:pk>", views.channel_page, name="channel"),
    path("channel/<int:pk>/row", views.row, name="channel-row"),
    path("channel/<int:pk>/status", views.toggle, name="channel-status"),
    path("channel/<int:pk>/field", views.field, name="channel-field"),
    path("channel/<int:pk>/test", views.test, name="channel-test"),
    path("channel/<int:pk>/balance", views.balance, name="channel-balance"),
    path("channel/<int:pk>/copy", views.copy, name="channel-copy"),
    path("channel/<int:pk>/pause", views.pause, name="channel-pause"),
    path("channel/<int:pk>/delete", views.delete, name="channel-delete"),
]
