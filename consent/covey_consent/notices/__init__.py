"""Notices: what a person is shown before they decide, with the caps that the operator promises.

`files` reads what authors wrote, `drafts` fills in the facts, `lint` says what the law asks for and is not
there, `versions` numbers what changed, `publisher` puts it in force and `in_force` shows it.
"""

from covey_consent.notices.in_force import InForce, find

__all__ = ["InForce", "find"]
