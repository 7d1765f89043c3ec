"""What P1 gave in the laboratory: no phones, no protocol, the noise drawn centrally; figures of a note."""

from __future__ import annotations

from typing import Any

LABORATORY: dict[str, Any] = {
    "households": 2464,
    "items": 2242,
    "new": {
        "recall_at_10": {"popularity": 0.0664, "ease": 0.0710, "noiseless": 0.0729},
        "ndcg_at_10": {"popularity": 0.0898, "ease": 0.0950, "noiseless": 0.1006},
    },
    "again": {
        "recall_at_10": {"popularity": 0.1075, "gp_topfreq": 0.1704},
        "ndcg_at_10": {"popularity": 0.3699, "gp_topfreq": 0.5345},
    },
    "effect": [
        {"epsilon": 1.0, "recall_at_10": 0.0634, "ndcg_at_10": 0.0879},
        {"epsilon": 2.0, "recall_at_10": 0.0675, "ndcg_at_10": 0.0932},
        {"epsilon": 4.0, "recall_at_10": 0.0697, "ndcg_at_10": 0.0963},
    ],
}
"""All households of the Complete Journey, times as the file has them, the types that were ever bought."""
