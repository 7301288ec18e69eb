"""Voice: recordings become words (hearing.py), words become voice messages (saying.py). Imported where `voice` is configured."""
