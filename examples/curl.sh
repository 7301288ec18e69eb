#!/usr/bin/env bash
# Every way to call the API with curl. Prints one JSON answer a line, then a stream.
set -euo pipefail
base="${NANOBOT_URL:-http://127.0.0.1:8900}"
cd "$(dirname "$0")/files"

# One message. Messages with the same session_id belong to one conversation.
curl --fail-with-body -sS "$base/v1/chat/completions" \
  -H "Content-Type: application/json" \
  -d '{
    "messages": [{"role": "user", "content": "hi"}],
    "session_id": "my-session"
  }'
echo

# A picture inside JSON. The body goes in by standard input: a command line has room for small files only.
printf '{"messages": [{"role": "user", "content": [
    {"type": "text", "text": "Describe this image"},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64,%s"}}
  ]}]}' "$(base64 < chart.png | tr -d '\n')" |
  curl --fail-with-body -sS "$base/v1/chat/completions" -H "Content-Type: application/json" --data-binary @-
echo

# A single file
curl --fail-with-body -sS "$base/v1/chat/completions" \
  -F "message=Summarize this report" \
  -F "files=@report.docx"
echo

# Several files, in a conversation of their own
curl --fail-with-body -sS "$base/v1/chat/completions" \
  -F "message=Compare these files" \
  -F "files=@chart.png" \
  -F "files=@data.xlsx" \
  -F "session_id=my-session"
echo

# The answer as it is written: server-sent events, the last one is "data: [DONE]"
curl --fail-with-body -sSN "$base/v1/chat/completions" \
  -H "Content-Type: application/json" \
  -d '{"messages": [{"role": "user", "content": "hi"}], "stream": true}'
