from django.urls import path

from console.prices import views

urlpatterns = [
    path("prices", views.price_list, name="prices"),
    path("prices/edit", views.edit, name="price-edit"),
    path("prices/bulk", views.bulk, name="prices-bulk"),
    path("prices/commit", views.commit, name="prices-commit"),
    path("prices/import", views.import_, name="prices-import"),
    path("prices/export", views.export, name="prices-export"),
    path("prices/compare", views.compare, name="prices-compare"),
    path("prices/accept", views.accept, name="prices-accept"),
    path("prices/history", views.history, name="prices-history"),
    path("prices/undo", views.undo, name="prices-undo"),
]
