"""Covey on the command line."""


def main() -> None:
    """Run."""
