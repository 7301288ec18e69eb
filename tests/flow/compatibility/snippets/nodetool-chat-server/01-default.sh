# Start chat server on default port 8080
nodetool chat-server
