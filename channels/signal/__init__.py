"""Signal by signal-cli, a client without a screen that runs beside this server (https://github.com/AsamK/signal-cli)."""
