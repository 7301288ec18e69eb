"""Markdown in the form of each platform, in parts of its length.

    markdown ──read──▶ blocks ──split──▶ blocks of each part ──write──▶ FormattedPart

`reading` knows Markdown, `splitting` where a text may be cut, and each `TextForm` (telegram, discord, plain) how its platform writes and counts.
All of it is pure. Nothing raises on any text, and no word is lost.
"""
