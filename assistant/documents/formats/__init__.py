"""One module per format, each with `read(data, name, limits)`. Runs in the child process only."""
