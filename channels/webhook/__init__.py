"""Other programs, by HTTP: messages in by POST /hooks/{name}, out by signed POST."""
