"""Models and queries as two pure halves: what a device contributes, and what the server makes of the sum.

The phone and the server look the same query up by its id:

    query = QUERIES["q20"]
    vector = query.contribute({"recency_days": 12, "orders": 3, "mean_order_minor": 4599})  # on the phone
    published = query.release(total, sd)  # on the server
"""

from covey_models.catalogue import Catalogue
from covey_models.errors import ModelError
from covey_models.histogram import Categories, LogBins
from covey_models.queries import QUERIES, SEGMENTS, Counts, Medians, Query
from covey_models.question import Question

__all__ = [
    "QUERIES",
    "SEGMENTS",
    "Catalogue",
    "Categories",
    "Counts",
    "LogBins",
    "Medians",
    "ModelError",
    "Query",
    "Question",
]
