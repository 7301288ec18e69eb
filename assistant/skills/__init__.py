"""Skills by the AgentSkills standard: found in the workspace, used as far as the owner has approved their content."""
