from django.urls import path

from console.playground import views

urlpatterns = [
    path("playground", views.playground, name="playground"),
    path("playground/call", views.call, name="playground-call"),
    path("playground/bill", views.bill, name="playground-bill"),
]
