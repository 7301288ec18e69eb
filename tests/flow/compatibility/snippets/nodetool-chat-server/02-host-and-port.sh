# Start on custom host/port
nodetool chat-server --host 0.0.0.0 --port 3000
