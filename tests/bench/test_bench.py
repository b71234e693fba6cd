"""A benchmark run gives figures for what it did. What they say depends on the machine, and no test looks at it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lockgate.bench.result import absolutes, differences, increases, percentile, ratios
from lockgate.bench.traffic import Plan, call, closing, delta, opening, plan_of, request, whole_reply
from lockgate.wire import anthropic

LOCKGATE = "from lockgate.cli import main; main()"
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the benchmark reads Linux's process clocks")


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not pytest's tmp_path, in which the path of a server's socket may be too long."""
    with tempfile.TemporaryDirectory() as path:
        yield Path(path)


def bench(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", LOCKGATE, "bench", *arguments]
    environment = {**os.environ, "LOCKGATE_HOME": str(folder), "TMPDIR": str(folder)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=100)


@linux
def test_a_quick_run_measures_both_proxies_and_leaves_nothing(folder: Path) -> None:
    done = bench(folder, "--only", "small", "--rounds", "1", "--quick", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    (small,) = document["results"]
    assert set(document["machine"]) >= {"lockgate", "mitmproxy", "python"}
    assert small["name"] == "small"
    assert small["rounds"] == len(small["plain"]["rounds"]) == len(small["lockgate"]["rounds"]) == 1
    assert small["value"] == small["lockgate"]["rounds"][0] / small["plain"]["rounds"][0] > 0
    assert small["holds"] is (small["value"] <= small["bound"])
    assert small["notes"]["exchanges_per_round"] == 60
    assert list(folder.iterdir()) == []


@linux
@pytest.mark.postgres
@pytest.mark.parametrize(
    "name",
    ["log-size", "log-rate", "log-open", "log-list", "log-search", "log-cpu", "access", "guarded", "watched", "pages"],
)
def test_the_log_is_measured_on_both_databases(folder: Path, name: str) -> None:
    done = bench(folder, "--only", name, "--rounds", "1", "--quick", "--json")
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)["results"]
    figure = {"access": "token-known"}.get(name, name)
    kinds = {name} if name in ("log-cpu", "guarded", "watched") else {f"{figure}-sqlite", f"{figure}-postgresql"}
    assert {result["name"] for result in results} >= kinds
    assert all(result["value"] > 0 for result in results)
    assert list(folder.iterdir()) == []


def test_rounds_are_bounded(folder: Path) -> None:
    done = bench(folder, "--rounds", "1000")
    assert done.returncode == 2
    assert "--rounds takes a number from 1 to 100" in done.stderr


ABOUT = {"name": "x", "what": "x", "bound": 2.0}


def test_rounds_are_compared_pair_by_pair() -> None:
    found = ratios([1.0, 2.0, 10.0], [1.5, 4.0, 20.0], unit="us", **ABOUT)
    assert (found.value, found.low, found.high, found.holds) == (2.0, 1.5, 2.0, True)
    assert differences([1.0, 2.0], [4.0, 5.0], unit="ms", **ABOUT).value == 3.0
    assert increases([10.0], [11.0], unit="ms", **ABOUT).value == pytest.approx(10.0)
    alone = absolutes([3.0], unit="MB", **ABOUT)
    assert (alone.value, alone.holds, alone.document()["plain"]["median"]) == (3.0, False, None)


def test_percentiles_are_among_what_was_measured() -> None:
    assert percentile(list(map(float, range(101))), 99) == 99.0
    assert percentile([7.0], 99) == 7.0


def test_the_plan_of_a_request_is_what_was_asked() -> None:
    plan = Plan(reply="events", events=7, gap_seconds=0.004, call=3)
    head, _, body = request(plan).partition(b"\r\n\r\n")
    assert plan_of(head) == plan
    assert anthropic.FORMAT.read_request(body).stream


@pytest.mark.parametrize("end", [closing(), call(5)], ids=["events", "call"])
def test_the_provider_speaks_the_format(end: bytes) -> None:
    _, _, body = request(Plan(reply="events")).partition(b"\r\n\r\n")
    reply = anthropic.FORMAT.reply(anthropic.FORMAT.read_request(body), streamed=True, hold_calls=True)
    given = opening() + delta(1) + delta(2) + end
    sent = b"".join(reply.emit(frame, frame.events) for frame in (*reply.receive_data(given), *reply.receive_data(b"")))
    assert sent == given


def test_the_whole_reply_is_a_message() -> None:
    _, _, body = request(Plan()).partition(b"\r\n\r\n")
    reply = anthropic.FORMAT.reply(anthropic.FORMAT.read_request(body), streamed=False, hold_calls=True)
    _, _, message = whole_reply("done").partition(b"\r\n\r\n")
    assert not reply.receive_data(message)
    assert [frame.raw for frame in reply.receive_data(b"")] == [message]
