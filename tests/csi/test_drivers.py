from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from k8sim.csi.drivers import FAMILIES, WELL_KNOWN, Driver, find_driver
from k8sim.csi.driversettings import parse_driver
from k8sim.csi.schedulesettings import parse_schedule
from k8sim.sim.distributions import Constant
from tests.csi.scenes import scene


def test_the_families_differ_where_it_matters() -> None:
    assert set(FAMILIES) == {
        "zonal-disk", "regional-disk", "local-volume", "shared-files", "flex-legacy", "cluster-block",
    }  # fmt: skip
    assert not FAMILIES["shared-files"].attach
    assert "ReadWriteMany" in FAMILIES["shared-files"].access_modes
    assert "ReadWriteMany" not in FAMILIES["zonal-disk"].access_modes
    assert FAMILIES["local-volume"].topology == "node"


def test_an_unknown_name_is_a_zonal_disk_that_is_not_known() -> None:
    driver = find_driver("x.example.com")
    assert (driver.family, driver.known) == ("zonal-disk", False)
    assert find_driver("ebs.csi.aws.com").known


def test_a_scenario_describes_a_driver_by_its_differences() -> None:
    driver = parse_driver(
        {"name": "x", "like": "shared-files", "attach": True, "capacity": "1Ti", "latencies": {"volumeAttach": "12s"}}
    )
    assert (driver.name, driver.family, driver.attach, driver.known) == ("x", "shared-files", True, True)
    assert driver.capacity_bytes == 2**40
    assert driver.laws == {"volumeAttach": Constant(12 * 10**9)}
    assert parse_driver({"name": "csi.hetzner.cloud", "volumesPerNode": 2}).snapshots is False
    assert parse_driver({"name": "y", "like": "rbd.csi.ceph.com"}).family == "cluster-block"


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ({}, "name: missing"),
        ({"name": "x", "like": "floppy"}, "like: neither"),
        ({"name": "x", "topology": "shelf"}, "topology: expected one of"),
        ({"name": "x", "attach": "yes"}, "attach: expected bool"),
        ({"name": "x", "volumesPerNode": True}, "volumesPerNode: expected int"),
        ({"name": "x", "capacity": "lots"}, "capacity: "),
        ({"name": "x", "accessModes": ["RWO"]}, "accessModes: expected a list"),
        ({"name": "x", "latencies": {"kubectl": "1s"}}, "latencies.kubectl: not a latency of storage"),
        ({"name": "x", "latencies": {"volumeAttach": "soon"}}, "latencies.volumeAttach: "),
        (
            {"name": "x", "nodeAllocatableUpdatePeriodSeconds": 9},
            "nodeAllocatableUpdatePeriodSeconds: must be at least",
        ),
        ({"name": "x", "colour": "red"}, "colour: unknown field"),
    ],
)
def test_a_wrong_driver_is_refused(raw: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_driver(raw)


def test_a_drivers_own_latencies_count() -> None:
    slow = "cluster: {storageDrivers: [{name: ebs.csi.aws.com, latencies: {volumeAttach: 14s, volumeStage: 5s}}]}"
    started = scene(cluster=slow).run(100)
    attaching = started.when("VolumeAttachment", "", "Attaching")
    assert started.when("Volume", "", "Attached") - attaching == pytest.approx(14, abs=0.2)
    assert started.rows("StorageDriver")[0].detail["known"]


# kubernetes-csi.github.io/docs/drivers.html, and what the drivers' own pages add (k8sim/csi/drivers.py cites them):
# several nodes, snapshots, expansion, clones, attributes.
DOCUMENTED = {
    "ebs.csi.aws.com": "-SECA",
    "pd.csi.storage.gke.io": "-SECA",
    "disk.csi.azure.com": "-SECA",
    "cinder.csi.openstack.org": "-SEC-",
    "dobs.csi.digitalocean.com": "-SE--",
    "csi.hetzner.cloud": "--E--",
    "rbd.csi.ceph.com": "RSEC-",
    "driver.longhorn.io": "WSEC-",
    "pxd.portworx.com": "WSEC-",
    "efs.csi.aws.com": "W----",
    "file.csi.azure.com": "WSEC-",
    "nfs.csi.k8s.io": "WSEC-",
    "cephfs.csi.ceph.com": "WSEC-",
    "topolvm.io": "-SEC-",
    "rancher.io/local-path": "-----",
}


def abilities(driver: Driver) -> str:
    shared = "W" if "ReadWriteMany" in driver.access_modes else "R" if "ReadOnlyMany" in driver.access_modes else "-"
    able = (driver.snapshots, driver.expansion != "none", driver.clones, driver.modification)
    return shared + "".join(letter if yes else "-" for letter, yes in zip("SECA", able, strict=True))


def test_known_drivers_can_do_what_their_documentation_says() -> None:
    assert {name: abilities(WELL_KNOWN[name]) for name in DOCUMENTED} == DOCUMENTED


def test_the_limits_are_those_of_the_documentation() -> None:
    assert WELL_KNOWN["ebs.csi.aws.com"].volumes_per_node == 39
    assert WELL_KNOWN["pd.csi.storage.gke.io"].volumes_per_node == 16


@pytest.mark.parametrize("parse", [parse_driver, parse_schedule])
def test_every_field_is_documented(parse: Callable[[Mapping[str, Any]], object]) -> None:
    text = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text()
    with pytest.raises(ValueError, match="known are") as refused:
        parse(
            {"name": "x", "every": "1h", "colour": "red"} if parse is parse_schedule else {"name": "x", "colour": "red"}
        )
    known = str(refused.value).partition("known are ")[2].split(", ")
    assert [field for field in known if f"`{field}`" not in text] == []
