"""Local models: each GGUF file runs in a child process, the only place that imports llama.cpp.

Server side: `provider` (the ports), `process` (the queue of one model and its child process). Child side: `worker` (requests and answers as lines
of JSON), `inference` (llama.cpp). Both sides use `file` (the path and the header of a GGUF file).
"""
