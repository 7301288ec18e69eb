"""Models that are files on this machine: each runs in a process of its own, which alone knows llama.cpp.

Here, from the parent to the child: `provider` (the ports) → `engine` (one thing at a time, who waits, when to load and unload) → `process` (the
child and its lines) | `worker` (the lines from the other end) → `inference` (llama.cpp) → `words` (bytes to text, stops). Both read `header`.
"""
