"""Adapters to chat platforms, a folder each."""
