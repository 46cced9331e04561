"""/audit: who changed what, when, from where. An admin sees own acts, root everybody's."""
