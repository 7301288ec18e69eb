"""Stand-ins for platforms and models, on loopback; used by tests and benchmarks, never by the product."""
