"""/v1/completions and /v1/embeddings: one prompt, no session."""
