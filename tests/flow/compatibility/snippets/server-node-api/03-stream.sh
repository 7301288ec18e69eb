curl http://localhost:8080/v1/chat/completions \
  -H "Content-Type: application/json" \
  -H "Authorization: Bearer sk-your-secret-key" \
  -d '{
    "model": "my-fine-tuned-model",
    "messages": [{"role": "user", "content": "Tell me a story"}],
    "stream": true
  }'
