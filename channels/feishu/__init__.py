"""Feishu and Lark by their open platform: events come by calls to /channels/feishu, answers go out as cards."""
