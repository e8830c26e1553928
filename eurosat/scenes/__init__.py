"""Whole scenes: read, classified window by window, and written as land-cover maps."""
