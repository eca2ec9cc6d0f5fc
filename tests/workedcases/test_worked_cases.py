"""Worked cases of availability and data loss, closed forms and published results: the simulator comes to each of them.

`cases.json` says what each case is, where it comes from and what may be asked of an estimate: four standard errors.
Times are in hours, one of which is a second of the clock where a `Group` of copies is run (`tests.workload.bare`).
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pytest

from k8sim.lockstep.copies import CopyGroup, simulate
from k8sim.runner.rare import loss_probability, mttdl
from k8sim.sim.distributions import Constant, Distribution, Empirical, Exponential, Lognormal, Weibull
from k8sim.sim.streams import Streams, uniforms
from k8sim.sim.units import HOUR, SECOND
from k8sim.workload.rules import Rules
from tests.workload.bare import Bare

pytestmark = pytest.mark.slow
CASES: Final = {c["name"]: c for c in json.loads((Path(__file__).parent / "cases.json").read_text())["cases"]}
YEAR_H: Final = 8760
H: Final = SECOND
"""An hour of a group is a second of its clock."""


def expected(name: str, key: str | None = None) -> float:
    value = CASES[name]["expected"]
    return float(value if key is None else value[key])


def parameter(name: str, key: str) -> float:
    return float(CASES[name]["parameters"][key])


def exponential(mean_h: float) -> Exponential:
    return Exponential(round(mean_h * HOUR))


def agrees(samples: npt.ArrayLike, value: float) -> None:
    x = np.asarray(samples, dtype=float)
    error = x.std(ddof=1) / math.sqrt(len(x))
    assert abs(x.mean() - value) <= 4 * error, f"{x.mean():.6g}, {error:.2g} off by chance, expected {value:.6g}"


def share_agrees(hits: int, of: int, p: float) -> None:
    assert abs(hits / of - p) <= 4 * math.sqrt(p * (1 - p) / of), f"{hits}/{of}, expected {p:.6g}"


# ---- mean time to data loss -------------------------------------------------------------------------------------


def erlang(shape: int, mean_h: float) -> Empirical:
    """The law of a sum of exponential times, by 4,000 of its quantiles."""

    def cdf(x: float) -> float:
        return 1 - math.exp(-x) * sum(x**k / math.factorial(k) for k in range(shape))

    def quantile(u: float) -> float:
        low, high = 0.0, 10.0 * shape
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if cdf(middle) < u else (low, middle)
        return low

    return Empirical(tuple(round(quantile((i + 0.5) / 4000) * mean_h / shape * HOUR) for i in range(4000)))


RAID: Final = ("mttdl_raid6_6plus2", 461386.0, 12.0)
GOOGLE: Final = "mttdl_google_osdi10_uncorrelated_R2_R3_R4"
GOOGLE_NODE: Final = (parameter(GOOGLE, "node_mttf_days") * 24, parameter(GOOGLE, "recovery_days") * 24)
ELEPHANTS: Final = "mttdl_xoring_elephants_3rep"
BLOCK_H: Final = parameter(ELEPHANTS, "block_bytes") / parameter(ELEPHANTS, "bandwidth_bytes_per_s") / 3600
STRIPES: Final = parameter(ELEPHANTS, "capacity_bytes") / (3 * parameter(ELEPHANTS, "block_bytes"))
SERIAL: Final = "mttf_serial_repair_s_r"
TIMES_TO_LOSS: Final[dict[str, tuple[CopyGroup, float]]] = {
    "two copies": (CopyGroup(2, 1, exponential(1000), exponential(24)), expected("mttdl_2way_exp")),
    "three copies": (CopyGroup(3, 2, exponential(1000), exponential(24)), expected("mttdl_3way_exp_parallel_repair")),
    "RAID 5": (CopyGroup(8, 1, *map(exponential, RAID[1:])), expected("mttdl_raid5_7plus1_elerath_inputs") * YEAR_H),
    "RAID 6, serial": (CopyGroup(8, 2, *map(exponential, RAID[1:]), crews=1), expected(RAID[0], "serial") * YEAR_H),
    "RAID 6, parallel": (CopyGroup(8, 2, *map(exponential, RAID[1:])), expected(RAID[0], "parallel") * YEAR_H),
    "elephants": (
        CopyGroup(3, 2, exponential(1460 * 24), exponential(BLOCK_H), crews=1), expected(ELEPHANTS) * 24 * STRIPES,
    ),
    **{
        f"Google, R={n}": (CopyGroup(n, n - 1, *map(exponential, GOOGLE_NODE), crews=1), expected(GOOGLE, f"R{n}") * 24)
        for n in (2, 3, 4)
    },
    "constant repair": (
        CopyGroup(2, 1, exponential(1000), Constant(24 * HOUR)), expected("mttdl_2way_constant_repair"),
    ),
    "Erlang repair": (CopyGroup(3, 2, exponential(1000), erlang(10, 24)), expected("mttdl_3way_erlang10_repair")),
    **{
        f"any {r} of {s}": (
            CopyGroup(s, s - r, exponential(1000), exponential(24), crews=1), expected(SERIAL, f"s{s}_r{r}"),
        )
        for s, r in ((2, 1), (3, 1), (5, 1), (6, 4), (9, 6), (13, 9), (14, 10))
    },
}  # fmt: skip


@pytest.mark.parametrize("name", TIMES_TO_LOSS)
def test_mean_time_to_data_loss(name: str) -> None:
    group, hours = TIMES_TO_LOSS[name]
    found = mttdl(group, replicates=100_000 if name == "any 1 of 5" else 20_000)
    error = found.half_width / 1.96
    assert abs(found.value / 3600 - hours) <= 4 * error / 3600 + 0.01 * hours * name.startswith("Google")
    assert error < 0.1 * found.value


@pytest.mark.parametrize("horizon", [720, 2160, 8760])
def test_probability_of_loss_within_a_time(horizon: int) -> None:
    group = CopyGroup(3, 2, exponential(200), exponential(24))
    paths = simulate(group, [1.0, 1.0, 1.0], horizon * 3600.0, 7, np.arange(10_000))
    share_agrees(int(paths.lost.sum()), 10_000, expected("ploss_3way_accelerated", f"t_{horizon}h"))


# ---- availability -----------------------------------------------------------------------------------------------


def outages(
    seed: int, n: int, rules: Rules, up: Distribution, down: Distribution, horizon: float
) -> list[tuple[float, float]]:
    """Members fail and come back with their disks: when nobody could write, from the first tenth of the time on."""
    members = "abcde"[:n]
    db = Bare(rules, members, rate=1, seed=seed)

    def flip(member: str, was_up: bool) -> None:
        if was_up:
            db.down(member, how="clean")
        else:
            db.up(member)
        plan(member, not was_up)

    def plan(member: str, is_up: bool) -> None:
        law, purpose = (up, "up") if is_up else (down, "down")
        db.clock.call_after(law.quantile(db.sim.streams.uniform(member, purpose)), flip, member, is_up)

    db.up(*members)
    for member in members:
        plan(member, True)
    db.run(horizon)
    found, since = [], None
    for t, why in [*db.service(), (horizon, "")]:
        if why and since is None and t > 0:
            since = t
        elif not why and since is not None:
            found.append((since, t))
            since = None
    return found


def group_exponential(hours: float) -> Exponential:
    return Exponential(round(hours * H))


MAJORITY: Final = Rules(acks="majority", election="majority")
ANYBODY: Final = Rules(acks=1, election="any", empty_votes=True)


def share(found: list[tuple[float, float]], since: float, until: float) -> float:
    return sum(max(0.0, b - max(a, since)) for a, b in found) / (until - since)


def k_of_n(n: int, k: int, a: float) -> float:
    return 1 - sum(math.comb(n, i) * a**i * (1 - a) ** (n - i) for i in range(k, n + 1))


def test_unavailability_of_two_of_three_sped_up() -> None:
    """The twin that the case names for simulations: MTTF 100 h, MTTR 10 h."""
    shares = [
        share(outages(s, 3, MAJORITY, group_exponential(100), group_exponential(10), 4000), 400, 4000)
        for s in range(24)
    ]
    agrees(shares, 0.023290759)
    assert k_of_n(3, 2, 100 / 110) == pytest.approx(0.023290759)


@pytest.mark.parametrize("key", CASES["availability_k_of_n"]["expected"])
def test_unavailability_of_k_of_n(key: str) -> None:
    n, k = (int(part[1:]) for part in key.split("_"))
    assert k_of_n(n, k, 720 / (720 + 1 / 3)) == pytest.approx(expected("availability_k_of_n", key), rel=1e-5)


@pytest.mark.parametrize("repair", [Constant(10 * H), Lognormal(round(6 * H), round(50 * H))])
def test_how_often_all_three_are_down_whatever_the_repair(repair: Distribution) -> None:
    mttf, mttr = 100.0, repair.mean_s
    a = mttf / (mttf + mttr)
    rate = 3 * a * (1 - a) ** 2 / mttf
    if isinstance(repair, Constant):
        assert rate == pytest.approx(expected("loss_episode_rate_any_repair_law"))
    found = [len(outages(s, 3, ANYBODY, group_exponential(mttf), repair, 10_000)) for s in range(12)]
    assert abs(sum(found) - rate * 120_000) <= 4 * math.sqrt(rate * 120_000)


def test_distribution_of_the_downtime_of_a_month() -> None:
    name = "downtime_distribution_exp"
    runs = 400
    down = [
        sum(b - a for a, b in outages(s, 1, ANYBODY, group_exponential(720), group_exponential(1 / 3), 720))
        for s in range(runs)
    ]
    agrees(down, expected(name, "mean_h"))
    for key in ("0.0", "0.5", "0.72", "2.0"):
        hits = sum(d <= float(key) for d in down)
        share_agrees(hits, runs, expected(name, f"P(downtime <= {key} h)"))
    assert np.var(down) == pytest.approx(expected(name, "variance_h2"), rel=0.6)  # of a heavy tail


def test_a_pod_whose_node_dies_once_a_month() -> None:
    """Exponential lives and an outage that always takes 12 min: share up, and seconds a year."""
    name = "pod_availability_fixed_outage"
    down = [
        share(outages(s, 1, ANYBODY, group_exponential(720), Constant(H // 5), YEAR_H), 0, YEAR_H) for s in range(60)
    ]
    agrees(down, 1 - expected(name, "availability"))
    agrees([d * 365 * 86400 for d in down], expected(name, "downtime_s_per_year"))


def test_three_zones_and_one() -> None:
    """A member is up if its node and its zone are: the zones of the case, and a twin that is down often enough."""
    name = "quorum_3_zones"

    def unavailable(node: float, zone: float) -> tuple[float, float]:
        return k_of_n(3, 2, node * zone), 1 - zone * (1 - k_of_n(3, 2, node))

    spread, together = unavailable(parameter(name, "node_A"), parameter(name, "zone_A"))
    assert spread == pytest.approx(expected(name, "three_zones_unavail"), rel=1e-4)
    assert together == pytest.approx(expected(name, "one_zone_unavail"), rel=1e-6)
    for zones, value in zip(("abc", "aaa"), unavailable(10 / 12, 20 / 22), strict=True):
        agrees([zones_down(s, zones, 500) for s in range(12)], value)


def zones_down(seed: int, zones: str, horizon: float) -> float:
    """Return the share of time without a majority: nodes (10 h up, 2 h down) in zones (20 h up, 2 h down)."""
    db = Bare(MAJORITY, "xyz", rate=1, seed=seed)
    broken: dict[str, set[str]] = {member: set() for member in "xyz"}

    def toggle(part: str, members: str, up: float) -> None:
        is_up = part in broken[members[0]]
        for member in members:
            (broken[member].discard if is_up else broken[member].add)(part)
            if not broken[member] and member not in db.processes:
                db.up(member)
            elif broken[member]:
                db.down(member, how="clean")
        plan(part, members, up, is_up)

    def plan(part: str, members: str, up: float, is_up: bool) -> None:
        law = group_exponential(up if is_up else 2)
        db.clock.call_after(
            law.quantile(db.sim.streams.uniform(part, "up" if is_up else "down")), toggle, part, members, up
        )

    db.up(*"xyz")
    for member in "xyz":
        plan(f"node {member}", member, 10, True)
    for zone in sorted({*zones}):
        plan(f"zone {zone}", "".join(m for m, z in zip("xyz", zones, strict=True) if z == zone), 20, True)
    db.run(horizon)
    found, since = 0.0, None
    for t, why in [*db.service(), (horizon, "")]:
        if why and since is None and t > 0:
            since = t
        elif not why and since is not None:
            found += t - max(since, horizon / 10) if t > horizon / 10 else 0
            since = None
    return found / (horizon * 0.9)


@pytest.mark.parametrize(("key", "up", "down"), [("node", 2890.8, 0.25), ("rack", 87_600, 34)])
def test_share_of_time_in_which_a_node_or_rack_is_away(key: str, up: float, down: float) -> None:
    horizon = 40 * up
    shares = [
        share(outages(s, 1, ANYBODY, group_exponential(up), group_exponential(down), horizon), horizon / 10, horizon)
        for s in range(20)
    ]
    agrees(shares, expected("simedc_blocked_ratio_steady_state", key))


def test_either_of_two_that_are_away_independently() -> None:
    name = "simedc_blocked_ratio_steady_state"
    either = 1 - (1 - expected(name, "node")) * (1 - expected(name, "rack"))
    assert either == pytest.approx(expected(name, "either"), rel=1e-6)


def test_a_quorum_of_three_that_nobody_repairs() -> None:
    name, runs = "no_repair_second_of_three", 300
    lost = []
    for seed in range(runs):
        lives = sorted(group_exponential(1000).quantile(Streams(seed).uniform(member, "life")) / H for member in "abc")
        db = Bare(MAJORITY, "abc", rate=1)
        db.up(*"abc")
        for life, member in zip(lives, "abc", strict=True):
            db.at(life, db.down, member)
        db.run(1000)
        lost.append(next((t for t, why in db.service() if why and t > 0), math.inf))
    for hours in (100, 500, 1000):
        share_agrees(sum(t <= hours for t in lost), runs, expected(name, str(hours)))
    assert 1 - 3 * math.exp(-0.02) + 2 * math.exp(-0.03) == pytest.approx(expected(name, "10"), rel=1e-6)


# ---- laws of lifetimes ------------------------------------------------------------------------------------------


def test_a_rate_of_failures_is_no_probability() -> None:
    name = "afr_conversion_backblaze_2024"
    life = exponential(YEAR_H / parameter(name, "afr"))
    assert life.mean_s / 3600 == pytest.approx(expected(name, "mttf_h"))
    assert life.quantile(expected(name, "p_fail_1y")) / HOUR == pytest.approx(YEAR_H, rel=1e-6)
    found, _ = loss_probability(CopyGroup(3, 2, life, exponential(24)), YEAR_H * 3600.0, replicates=60_000)
    assert abs(found.value - expected(name, "p_loss_3way_1y_rebuild24h")) <= 4 * found.half_width / 1.96
    assert pytest.approx(expected(name, "failures_2025_implied"), rel=1e-4) == 0.0136 * 115_638_676 / 365


@pytest.mark.parametrize(("key", "scale", "years"), [
    ("simedc_1y", 87_600, 1), ("simedc_10y", 87_600, 10), ("elerath_1y", 461_386, 1), ("elerath_10y", 461_386, 10),
])  # fmt: skip
def test_weibull_lives(key: str, scale: float, years: int) -> None:
    law = Weibull(1.12, round(scale * HOUR))
    assert law.quantile(expected("weibull_first_failure", key)) / HOUR == pytest.approx(years * YEAR_H, rel=1e-5)


def test_the_first_of_a_hundred_disks_and_the_sampler() -> None:
    law, streams = Weibull(1.12, 87_600 * HOUR), Streams(3)
    lives = law.quantiles(np.array([streams.uniform(f"disk-{i}", "life") for i in range(20_000)])) / HOUR
    agrees(lives.reshape(200, 100).min(axis=1), expected("weibull_first_failure", "simedc_first_of_100_h"))
    cdf = 1 - np.exp(-((np.sort(lives) / 87_600) ** 1.12))
    assert np.abs(cdf - np.arange(1, 20_001) / 20_000).max() < 0.02


# ---- copysets: formulas, and the placement that gives them ------------------------------------------------------


@pytest.mark.parametrize("name", [n for n in CASES if n.startswith("copysets")])
def test_copysets(name: str) -> None:
    total, copies, failed, sets = (parameter(name, key) for key in ("N", "R", "failed", "copysets"))
    one = math.comb(int(failed), int(copies)) / math.comb(int(total), int(copies))
    assert -math.expm1(sets * math.log1p(-one)) == pytest.approx(expected(name), rel=1e-6)


def test_all_three_of_a_window_of_eleven() -> None:
    """What the formula takes for independent is not: the case gives the share that a simulation finds."""
    name = "copysets_facebook_random"
    check, trials = CASES[name]["monte_carlo_check"], 2000
    draws = (uniforms(1, np.arange(trials)[:, None], "node", "dies", np.arange(80)) * 5000).astype(int)
    hits = 0
    for row in draws:
        dead = np.sort([*dict.fromkeys(row.tolist())][:50])
        spans = np.concatenate([dead[2:] - dead[:-2], dead[:2] + 5000 - dead[-2:]])
        hits += bool((spans < check["window"]).any())
    share_agrees(hits, trials, check["p"])


def test_every_case_is_named_in_a_test() -> None:
    text = Path(__file__).read_text()
    assert [name for name in CASES if name not in text and not name.startswith("copysets")] == []
