"""Matrix (https://spec.matrix.org): a client of any home server, over the client-server API; end-to-end encryption with the extra `matrix`."""
