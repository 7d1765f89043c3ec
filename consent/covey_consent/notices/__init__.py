"""Notices: what a person is shown before they decide, with the caps that the operator promises.

`files` reads what authors wrote, `drafts` fills in the facts, `lint` says what the law asks for and is not
there, `publisher` numbers what changed and puts it in force, `in_force` shows it, `history` has all versions.
"""

from covey_consent.notices.in_force import InForce, find

__all__ = ["InForce", "find"]
