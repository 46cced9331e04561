"""Zhipu's GLM."""
