"""What a simulation costs follows what changes, not how many requests and writes there are."""

from __future__ import annotations

import pytest

from tests.workload.small_cluster import EMPTY_DIR, run

WEB = """
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: db}, ports: [{port: 80}]}
"""
STEP = "  timeline: [{at: 3m, kubectl: delete pod db-0}]\n"


def rows_with(rate: str, pool: str = "") -> list[tuple[int, str, str, str]]:
    spec = (
        f"  traffic: [{{name: a, to: web, rate: {rate}, request: 50ms{pool}}}]\n"
        f"  applications: [{{name: db, statefulSet: db, preset: raft, writes: {rate}, bandwidth: 0}}]\n"
    )
    rows, _ = run(spec + STEP, replicas=3, volume=EMPTY_DIR, more=WEB)
    return [(r.t, r.kind, r.name, r.event) for r in rows]


@pytest.mark.parametrize("pool", ["", ", connections: {count: 20, lifetime: 1m}"])
def test_a_million_a_second_leave_the_same_rows_as_a_hundred(pool: str) -> None:
    few, many = rows_with("100/s", pool), rows_with("1000000/s", pool)
    assert [row for row in many if row[1] in ("Traffic", "Application", "Member")]
    assert few == many
