from django.urls import path

from console.home import views

urlpatterns = [
    path("", views.home, name="home"),
    path("about", views.about, name="about"),
    path("content/<str:name>/", views.content, name="content"),
    path("chat", views.chat, name="chat"),
]
