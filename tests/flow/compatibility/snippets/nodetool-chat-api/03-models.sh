curl http://localhost:8000/v1/models \
  -H "Authorization: Bearer YOUR_TOKEN"
