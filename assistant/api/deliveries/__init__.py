"""What goes out, over HTTP: /v1/deliveries."""
