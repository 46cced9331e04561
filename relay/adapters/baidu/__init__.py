"""Baidu's Wenxin workshop."""
