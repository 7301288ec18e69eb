"""Google Chat, as a Chat app: events in as signed calls, messages out by its REST API with a service account."""
