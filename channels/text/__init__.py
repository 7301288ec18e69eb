"""Markdown, as a model writes it, in the form that each platform takes, in parts of the length that it takes.

    markdown ──read──▶ blocks ──split──▶ blocks of each part ──write──▶ FormattedPart

`read` knows Markdown, `split` knows where a text may be cut, and each form (telegram, discord, plain) knows how its platform writes and counts.
All of it is pure: the same text gives the same parts. Nothing raises on any text, and no word is lost.
"""
