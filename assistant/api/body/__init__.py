"""Bodies of requests, within limits: JSON, forms, files in JSON; files go to the spool on disk."""
