from django.urls import path

from console.shell import views

urlpatterns = [
    path("look/theme", views.set_theme, name="set-theme"),
    path("look/sidebar", views.set_sidebar, name="set-sidebar"),
    path("look/columns", views.set_columns, name="set-columns"),
    path("notice/dismiss", views.dismiss_notice, name="dismiss-notice"),
    path("palette", views.palette, name="palette"),
]
