"""POST /v1/completions and /v1/embeddings: texts in, texts or vectors out, by the models that clients may name."""
