"""The rules that find tags in a history, by subject; `registry.RULES` is the table of all kinds of tags."""
