"""What `/metrics` says, as a test asks for it."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.parser import text_string_to_metric_families

from lockgate.metrics import Metrics


class Exposed:
    """All samples of Lockgate's own; empty labels count as none, as they do for Prometheus."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._samples = {
            (sample.name, frozenset((name, value) for name, value in sample.labels.items() if value)): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name.startswith("lockgate_")
        }

    def __call__(self, name: str, **labels: str) -> float | None:
        """The sample with exactly these labels; None where there is none."""
        return self._samples.get((f"lockgate_{name}", frozenset(labels.items())))

    def names(self, containing: str = "") -> Iterator[str]:
        """The name of each sample, as often as there are such."""
        return (name for name, _ in self._samples if containing in name)

    def of(self, name: str) -> dict[frozenset[str], float]:
        """Of one metric, each number by the values of its labels."""
        return {
            frozenset(value for _, value in labels): number
            for (found, labels), number in self._samples.items()
            if found == f"lockgate_{name}"
        }


def exposed(metrics: Metrics) -> Exposed:
    body, content_type = metrics.exposition()
    assert content_type.startswith("text/plain")
    return Exposed(body.decode())
