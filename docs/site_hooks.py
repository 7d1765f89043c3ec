"""MkDocs hooks: add the pages that stand beside docs/ in the repository, with their links fixed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
BESIDE = {name: f"{name.lower()}.md" for name in ("CONTRIBUTING", "SECURITY", "CHANGELOG")}
"""Pages of the repository's root, and what they are called on the site."""


def on_files(files: Files, *, config: Any) -> Files:
    """Add the pages of the repository's root."""
    for name, page in BESIDE.items():
        text = (ROOT / f"{name}.md").read_text("utf-8")
        files.append(File.generated(config, page, content=_moved(text)))
    return files


def _moved(text: str) -> str:
    """Return a page of the root with its links as they are from within docs/."""
    for name, page in BESIDE.items():
        text = text.replace(f"]({name}.md", f"]({page}")
    return re.sub(r"\]\(docs/", "](", text)
