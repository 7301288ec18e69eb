"""Workflows: read from their files, checked, and run as durable jobs."""
