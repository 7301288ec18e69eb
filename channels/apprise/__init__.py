"""Any of the services that Apprise knows, by its URL: out only."""
