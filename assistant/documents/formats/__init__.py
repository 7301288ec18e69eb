"""One module a format: `read(data, name, limits)`, in the child process only; nothing outside of this folder imports it."""
