"""Local models: each GGUF file runs in a child process, the only place that imports llama.cpp.

Server side: `provider` (the ports), `request_queue` (one request at a time, the child process and its messages). Child side: `worker` (the same
messages), `inference` (llama.cpp). Both sides use `file` (the path and the header of a GGUF file).
"""
