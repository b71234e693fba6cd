"""Every benchmark by its name."""

from __future__ import annotations

from lockgate.bench.access import ACCESS_MEASURES
from lockgate.bench.console import CONSOLE_MEASURES
from lockgate.bench.logs import LOG_MEASURES
from lockgate.bench.measures import PROXY_MEASURES
from lockgate.bench.packs import PACK_MEASURES

MEASURES = {**PROXY_MEASURES, **PACK_MEASURES, **LOG_MEASURES, **ACCESS_MEASURES, **CONSOLE_MEASURES}
