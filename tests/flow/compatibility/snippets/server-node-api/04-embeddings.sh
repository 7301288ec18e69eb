curl http://localhost:8080/v1/embeddings \
  -H "Content-Type: application/json" \
  -H "Authorization: Bearer sk-your-secret-key" \
  -d '{
    "model": "text-embedding-model",
    "input": "The quick brown fox jumps over the lazy dog"
  }'
