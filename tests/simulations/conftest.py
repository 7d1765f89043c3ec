"""The demo's charts, each drawn once for the same figures: drawing them takes most of a page's second."""

from collections.abc import Iterator

import pytest

from covey_simulations.report import charts, ranking_charts

DRAWN = (
    (charts, ("consent", "segments", "spent", "histogram")),
    (ranking_charts, ("effect", "leads", "reasons")),
)


@pytest.fixture(scope="module", autouse=True)
def charts_drawn_once() -> Iterator[None]:
    drawn: dict[tuple[str, str], str] = {}

    def once(draw):
        def drawn_once(*figures):
            asked = draw.__name__, repr(figures)
            if asked not in drawn:
                drawn[asked] = draw(*figures)
            return drawn[asked]

        return drawn_once

    with pytest.MonkeyPatch.context() as patch:
        for module, names in DRAWN:
            for name in names:
                patch.setattr(module, name, once(getattr(module, name)))
        yield
