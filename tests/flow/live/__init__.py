"""The real process, a stand-in for the model's server, and clients on sockets."""
