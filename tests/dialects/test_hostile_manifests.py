"""Whatever stands in a field of a Kubernetes object, importing it ends in a policy or in problems with lines."""

from __future__ import annotations

import copy
import json

import pytest
import yaml

from simdeploy.api import spec_from_dict
from simdeploy.dialects import read_policy
from simdeploy.dialects.importing import recognise
from simdeploy.dialects.source import Source
from simdeploy.errors import InputError

# Ten times as fast as the Python dumper; builds from source may lack it.
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  replicas: 4
  minReadySeconds: 5
  progressDeadlineSeconds: 60
  paused: false
  strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 1, maxUnavailable: 25%}}
  template: {spec: {containers: [{readinessProbe: {periodSeconds: 3, successThreshold: 2}}]}}
"""
DAEMONS = """\
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: shop}
spec: {updateStrategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}}
"""
STATEFUL = """\
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: shop}
spec: {replicas: 5, updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 2, maxUnavailable: 2}}}
"""
ROLLOUT = """\
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: shop}
spec:
  replicas: 8
  progressDeadlineAbort: true
  strategy:
    canary:
      maxSurge: 1
      minPodsPerReplicaSet: 2
      trafficRouting: {maxTrafficWeight: 100, plugins: {}}
      analysis:
        startingStep: 1
        templates: [{templateName: success, clusterScope: true}]
        args: [{name: least, value: "0.9"}]
        dryRun: [{metricName: other}]
      steps:
      - setWeight: 20
      - pause: {duration: 1m}
      - setCanaryScale: {replicas: 3, weight: 4, matchTrafficWeight: false}
      - analysis: {templates: [{templateName: success}]}
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: success}
spec:
  args: [{name: least, value: "0.9"}]
  metrics:
  - name: success-rate
    interval: 30s
    count: 2
    initialDelay: 1m
    successCondition: result[0] >= {{args.least}}
    failureCondition: result[0] < 0.5
    failureLimit: 1
    inconclusiveLimit: 1
    provider: {prometheus: {query: "sum(rate(x[5m]))"}}
"""
BLUE_GREEN = """\
apiVersion: argoproj.io/v1alpha1
kind: Rollout
spec:
  strategy:
    blueGreen: {autoPromotionEnabled: true, autoPromotionSeconds: 4, prePromotionAnalysis: {templates: [{templateName: a}]}}
"""
FLAGGER = """\
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: shop}
spec:
  provider: istio
  skipAnalysis: false
  targetRef: {kind: Deployment, name: shop}
  analysis:
    interval: 1m
    threshold: 2
    iterations: 0
    stepWeights: [10, 50]
    maxWeight: 50
    metrics: [{name: request-success-rate, interval: 1m, threshold: 1, thresholdRange: {min: 99, max: 100}}]
    webhooks: [{name: load, type: rollout}]
"""
EXAMPLES = {
    "deployment": DEPLOYMENT,
    "daemons": DAEMONS,
    "stateful": STATEFUL,
    "rollout": ROLLOUT,
    "blue-green": BLUE_GREEN,
    "flagger": FLAGGER,
}
ODD = [
    None,
    "",
    "x",
    "10%",
    "-3",
    -1,
    0,
    7,
    10**30,
    1.5,
    float("nan"),
    True,
    [],
    [None],
    [{}],
    {},
    {"a": [1]},
    "${A}",
    "3m",
]


def paths_in(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from paths_in(item, (*path, key))


def replaced(documents, path, value):
    changed = copy.deepcopy(documents)
    place = changed
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    return changed


def import_or_refuse(text, kind):
    """Return the policy, checked as a spec, or None if the text was refused."""
    recognise(Source(text))
    try:
        imported = read_policy(text, kind, nodes=12)
    except InputError:
        return None
    spec, problems = spec_from_dict(
        {key: value for key, value in imported.policy.items() if key not in ("dialect", "orchestrator")},
        dialect="general",
    )
    assert spec is not None, problems
    json.dumps(imported.policy)
    return imported.policy


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_are_whole(name):
    """The examples that are changed below are imported as they are. [contract]"""
    assert import_or_refuse(EXAMPLES[name], None) is not None


@pytest.mark.parametrize("name", EXAMPLES)
def test_any_value_in_any_field(name):
    """Every value of an example is replaced by odd ones in turn; nothing but an InputError comes out. [property]"""
    documents = list(yaml.safe_load_all(EXAMPLES[name]))
    kind = read_policy(EXAMPLES[name]).kind
    outcomes = [
        import_or_refuse(yaml.dump_all(replaced(documents, path, value), Dumper=DUMPER), kind)
        for path in paths_in(documents)
        if path
        for value in ODD
    ]
    assert any(outcome is None for outcome in outcomes)
    assert any(outcome is not None for outcome in outcomes)


@pytest.mark.parametrize("text", ["# nothing\n\n", "---\n---\n", "- 1\n- 2\n", "kind: [\n", "3\n\n"])
@pytest.mark.parametrize("kind", [None, "kubernetes", "argo-rollouts", "flagger"])
def test_files_without_objects(text, kind):
    """An empty file, a list, a number and what is no YAML are refused. [contract]"""
    assert import_or_refuse(text, kind) is None


@pytest.mark.parametrize("name", EXAMPLES)
def test_tags_are_not_evaluated(name):
    """A value with a tag of its own counts as not given, wherever it stands. [property]"""
    documents = list(yaml.safe_load_all(EXAMPLES[name]))
    kind = read_policy(EXAMPLES[name]).kind
    for path in paths_in(documents):
        if path:
            text = yaml.safe_dump_all(replaced(documents, path, "TAGGED")).replace("TAGGED", "!Ref Size")
            import_or_refuse(text, kind)
