"""POST /v1/chat/completions: from its body to a turn, from the turn to its answer, whole or streamed."""
