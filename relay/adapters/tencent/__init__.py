"""Tencent's Hunyuan."""
