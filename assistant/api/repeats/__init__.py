"""Requests that come again: known by their Idempotency-Key, or as an official client's own repeat, and answered with what was answered first."""
