"""Files that are uploaded once and named in requests: /v1/files."""
