"""Slack: a bot of a workspace, by Socket Mode or by calls of Slack."""
