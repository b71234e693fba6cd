"""The labelled data sets beside this file: JSON lines with a `text`, a `label` (whether it is harmful) and a `group`.

Texts that hold something a scanner of secrets would take for live stand there in parts, and are put together here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


def rows(name: str) -> list[dict[str, Any]]:
    """The rows of a data set, every text whole."""
    lines = (FOLDER / f"{name}.jsonl").read_text("utf-8").splitlines()
    return [{key: _whole(value) for key, value in json.loads(line).items()} for line in lines]


def _whole(value: Any) -> Any:
    return "".join(value) if isinstance(value, list) else value
