"""The table of law: what each article asks software to show, and which tests show it.

`articles` reads the table (`law.toml`), `marks` the tests that name an article, `runs` what a run found.
"""
