"""Alibaba's DashScope."""
