curl http://localhost:8080/v1/models \
  -H "Authorization: Bearer YOUR_TOKEN"
