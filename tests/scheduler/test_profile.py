"""What is known of plug-ins before a node is looked at."""

from typing import Any

import pytest

from k8sim.api.core import Pod
from k8sim.api.meta import with_meta
from k8sim.api.struct import replace
from k8sim.scheduler.plugins.registry import default_plugins
from k8sim.scheduler.profile import Profile
from tests.scheduler.world import HOST, make_pod, spread

ALWAYS = ["NodeUnschedulable", "TaintToleration", "NodeResourcesFit", "InterPodAffinity"]


def filters(pod: Pod) -> list[str]:
    return [plugin.name for plugin in Profile(default_plugins()).shape_of(pod).filters]


def test_pods_of_a_template_share_a_shape_and_one_that_differs_has_another():
    profile = Profile(default_plugins())
    pod = make_pod("a", cpu="1", labels={"app": "web"})
    like = with_meta(pod, name="b", labels={"app": "web", "index": "1"})
    tolerant = replace(
        pod, spec=replace(pod.spec, tolerations=make_pod("c", tolerations=[{"key": "k"}]).spec.tolerations)
    )
    assert profile.shape_of(like) is profile.shape_of(pod)
    assert profile.shape_of(tolerant) is not profile.shape_of(pod)
    assert profile.shape_of(tolerant).signature != profile.shape_of(pod).signature


def test_equal_pods_of_two_templates_judge_nodes_alike():
    profile = Profile(default_plugins())
    one, two = (profile.shape_of(make_pod("a", cpu="1")) for _ in range(2))
    assert one is not two
    assert one.signature == two.signature


@pytest.mark.parametrize(
    ("spec", "concerned"),
    [
        ({}, []),
        ({"nodeSelector": {"disk": "ssd"}}, ["NodeAffinity"]),
        ({"container": {"ports": [{"containerPort": 80, "hostPort": 80}]}}, ["NodePorts"]),
        ({"topologySpreadConstraints": [spread("web", HOST)]}, ["PodTopologySpread"]),
        ({"claims": ["data"]}, ["VolumeRestrictions", "NodeVolumeLimits", "VolumeBinding", "VolumeZone"]),
    ],
)
def test_only_plugins_that_a_pod_concerns_are_asked(spec: dict[str, Any], concerned: list[str]):
    assert sorted(filters(make_pod("a", **spec))) == sorted(ALWAYS + concerned)


def test_shapes_do_not_pile_up():
    profile = Profile(default_plugins())
    first = make_pod("a")
    shape = profile.shape_of(first)
    for i in range(300):
        profile.shape_of(make_pod(f"p{i}", cpu="1"))
    assert profile.shape_of(first) is not shape
    assert len(profile._shapes) <= 256
