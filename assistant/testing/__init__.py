"""Stand-ins that the package ships for tests and benchmarks; nothing else imports them."""
