"""Figures drawn from the sums of usage: ranges, charts, their tables and downloads."""
