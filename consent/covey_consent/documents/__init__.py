"""Documents that the law asks for, made from the registry's live facts.

Each is a pure function of `Facts` (`ropa`, `dpia`, `dossier`, `pipl_audit`, `dsa`, `toms`) that returns a
`Document`; `rendering` writes it as JSON, Markdown, HTML or CSV. They are evidence for an officer and an
authority, not legal advice; what software cannot know stands in them as a marked blank.
"""
