from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from k8sim.kubectl import Command, KubectlSyntaxError, Target, parse
from k8sim.kubectl.command import ImageChange, KeyChange, TaintChange
from k8sim.kubectl.grammar import VERBS
from k8sim.kubectl.parser import _flag_table
from k8sim.kubectl.refusals import _OF_VERB, why_refused
from k8sim.kubectl.run import FUNCTIONS
from k8sim.sim.units import MINUTE, SECOND


def targets(text: str) -> tuple[Target, ...]:
    return parse(text).targets


@pytest.mark.parametrize("verb", VERBS)
def test_the_example_of_every_verb_is_right_and_every_verb_does_something(verb: str) -> None:
    assert parse(VERBS[verb].usage).verb == verb
    assert verb in FUNCTIONS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("delete pod web-0", [("Pod", "web-0")]),
        ("delete po web-0 web-1", [("Pod", "web-0"), ("Pod", "web-1")]),
        ("delete pod/web-0 sts/web", [("Pod", "web-0"), ("StatefulSet", "web")]),
        ("delete sts,svc web", [("StatefulSet", "web"), ("Service", "web")]),
        ("delete statefulsets.apps web", [("StatefulSet", "web")]),
        ("delete --wait=false pod --force web-0 --grace-period 0", [("Pod", "web-0")]),
        ("kubectl delete pod web-0", [("Pod", "web-0")]),
        ("drain node/a b", [("Node", "a"), ("Node", "b")]),
        ("delete -- pod web-0", [("Pod", "web-0")]),
    ],
)
def test_objects_are_named_in_all_of_kubectls_ways(text: str, expected: list[tuple[str, str]]) -> None:
    assert list(targets(text)) == [Target(*e) for e in expected]


def test_flags_are_typed() -> None:
    options = parse("delete pod web-0 --grace-period=0 --force --timeout=1m30s --wait=false -n other").options
    assert (options.grace_period, options.force, options.wait) == (0, True, False)
    assert (options.timeout, options.namespace) == (MINUTE + 30 * SECOND, "other")
    assert parse("delete pod web-0 -n=x").options.namespace == parse("delete pod web-0 -nx").options.namespace == "x"
    assert parse("delete sts web --cascade").options.cascade == "background"


def test_a_selector_stands_for_names() -> None:
    command = parse("delete pod,pvc -l 'app in (a,b),!old'")
    assert (command.targets, command.kinds) == ((), ("Pod", "PersistentVolumeClaim"))


def test_arguments_are_typed() -> None:
    assert parse("set image sts/web app=app:v2 *=b").arguments == (ImageChange("app", "app:v2"), ImageChange("*", "b"))
    assert parse("label pv gold tier=gold old-").arguments == (KeyChange("tier", "gold"), KeyChange("old", None))
    assert parse("annotate sc x a/b=c=d --overwrite").arguments == (KeyChange("a/b", "c=d"),)
    taints = parse("taint nodes n a=b:NoExecute c:NoSchedule d:NoExecute- e-").arguments
    assert taints == (
        TaintChange("a", "b", "NoExecute", False), TaintChange("c", "", "NoSchedule", False),
        TaintChange("d", "", "NoExecute", True), TaintChange("e", "", "", True),
    )  # fmt: skip


def test_patches_are_json_or_yaml() -> None:
    json = parse("""patch sts web -p '{"spec":{"replicas":3}}'""")
    assert (
        json.arguments == parse("patch sts web --patch 'spec: {replicas: 3}'").arguments == ({"spec": {"replicas": 3}},)
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty"),
        ("apply -f x.yaml", "'apply' is not supported (use an `apply:` step"),
        ("rollout", "rollout with one of: history"),
        ("delet pod x", "did you mean delete?"),
        ("delete pod", "a type, but no name"),
        ("delete web-0", "no resource type 'web-0'"),
        ("delete pod web-0 --grace=3", "no flag --grace"),
        ("delete pod web-0 --grace-period", "needs a value"),
        ("delete pod web-0 --grace-period=x", "expected a number"),
        ("delete pod web-0 --wait=maybe", "expected true or false"),
        ("delete pod web-0 --timeout=5x", "invalid duration"),
        ("delete sts web --cascade orphan", "write --cascade=orphan"),
        ("delete sts web --cascade=all", "one of: background"),
        ("delete pod web-0 -l a=b", "exclude each other"),
        ("delete pod -l 'a b'", "unable to parse the selector"),
        ("delete pod --field-selector status.reason=x", "label not supported: status.reason (a Pod is selected by"),
        ("delete node --field-selector metadata.namespace=x", "not supported: metadata.namespace"),
        ("delete pod --field-selector x", "invalid field selector 'x'"),
        ("delete pod a --field-selector status.phase=Failed", "exclude each other"),
        ("delete pod --all --field-selector status.phase=Failed", "--all excludes"),
        ("delete pod web-0 -A", "named across all namespaces"),
        ("drain a --dry-run", "one of: none, client, server"),
        ("delete pod web-*", "names are exact"),
        ("delete pod web-0 --now --grace-period=5", "exclude each other"),
        ("delete pod a; rm -rf x", "';' is for a shell"),
        ("delete pod $(x)", "'$' is for a shell"),
        ('delete pod "$X"', "'$' is for a shell"),
        ("delete pod 'a", "quotation mark is not closed"),
        ("scale sts web", "--replicas"),
        ("scale pod web --replicas=1", "scale does not work on pod"),
        ("set image sts/web", "CONTAINER=IMAGE"),
        ("set image sts/web app", "stands alone"),
        ("patch sts web", "needs -p"),
        ("patch sts web -p [", "neither JSON nor YAML"),
        ("patch sts web -p '[]'", "is a mapping"),
        ("patch sts web --type=json -p '[{}]'", "op and path"),
        ("""patch sts web --type=json -p '[{"op":"replace","path":"/a"}]'""", "needs value"),
        ("taint node a x=y", "the effect is one of"),
        ("label pod x", "label needs KEY=VALUE"),
        ("label pod x a=1 a-", "both modify and remove"),
        ("drain", "needs the name of a node"),
        ("drain a -l x=y", "not both"),
        ("wait pod/x", "wait needs --for"),
        ("wait pod/x --for=ready", "one of: delete, create, condition"),
        ("set resources sts/web --limits=cpu", "RESOURCE=QUANTITY"),
    ],
)  # fmt: skip
def test_mistakes_are_named(text: str, problem: str) -> None:
    with pytest.raises(KubectlSyntaxError) as error:
        parse(text)
    assert problem in str(error.value)


@pytest.mark.parametrize(
    ("text", "flag", "hint"),
    [
        ("delete -f pod.yaml", "-f", "apply"),
        ("delete pod web-0 -i", "-i", "type"),
        ("scale sts/web --replicas=1 --dry-run=server", "--dry-run", "leave the step out"),
        ("label pod web-0 a=b --field-manager=me", "--field-manager", "field"),
        ("get pods --watch", "--watch", "trace"),
        ("drain node-0 --kubeconfig=x", "--kubeconfig", "one cluster"),
        ("rollout status sts/web -v=9", "-v", "prints"),
    ],
)
def test_a_flag_that_kubectl_has_and_nobody_simulates_is_refused_as_known(text: str, flag: str, hint: str) -> None:
    with pytest.raises(KubectlSyntaxError, match=f"has a flag {flag}, which is not simulated") as caught:
        parse(text)
    assert hint in str(caught.value.hint)


@pytest.mark.parametrize("verb", VERBS)
def test_no_flag_is_both_simulated_and_refused(verb: str) -> None:
    assert not [flag for flag in _flag_table(verb) if why_refused(verb, flag)]
    assert set(_OF_VERB) <= set(VERBS)


def test_quoted_text_may_hold_anything() -> None:
    command = parse("""annotate pod x 'a=1; $(b) | c > d'""")
    assert command.arguments == (KeyChange("a", "1; $(b) | c > d"),)


CASES = Path(__file__).parents[1] / "conformance" / "cases"


@pytest.mark.skipif(not CASES.is_dir(), reason="the recorded cases are not here")
def test_every_command_of_the_recorded_cases_is_understood() -> None:
    commands: list[Command] = []
    for path in CASES.glob("*.yaml"):
        for document in yaml.safe_load_all(path.read_text()):
            if document and document["kind"] == "Scenario":
                steps = document["spec"].get("timeline") or ()
                commands += [parse(step["kubectl"]) for step in steps if "kubectl" in step]
    assert len(commands) > 100
