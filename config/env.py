"""The only place that reads the environment (replaced by the full reader)."""
import os
