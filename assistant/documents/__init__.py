"""Bytes to text: what a file is, one module a format, and the child process that reads it within limits."""
