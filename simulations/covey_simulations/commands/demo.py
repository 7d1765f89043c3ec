"""`covey demo`: the main job from its options to the line that says where the report is."""

from __future__ import annotations

from typing import Any

from covey_simulations.scenarios import demo


def play(as_json: bool, **options: Any) -> None:
    """Run the main job with the fields of `demo.Options`, and print where its report is, or the report."""
    page = demo.main(demo.Options(**options))
    print(page.with_suffix(".json").read_text("utf-8") if as_json else f"The report is at {page}")
