"""Microsoft Teams, by the Bot Framework's REST: activities in as signed calls, out to the service that sent them."""
