"""Bodies of requests, taken in up to limits: JSON, forms, files within JSON; and the disk that files wait on."""
