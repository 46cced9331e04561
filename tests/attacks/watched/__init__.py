"""Not imported as a package: the folder stands on the PYTHONPATH of the server that is watched."""
