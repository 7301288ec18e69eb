"""Workflows and jobs over HTTP: /workflows and /v1/jobs."""
