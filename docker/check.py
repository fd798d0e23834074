"""Check the files of this folder without Docker, a cloud or Kubernetes; part of `make check`.

Command:  python docker/check.py

* `aws-roles.yaml`: cfn-lint, every finding counts; it defines the instance profiles of `ray-cluster-aws.yaml`.
* `Dockerfile`: hadolint, every finding counts.
* `compose.yaml`: parsed and validated by `compose-spec`.
* `ray-cluster-aws.yaml`: Ray's own schema of cluster files, which the `ray` package brings.
* `kuberay.yaml`: its pods by the schemas of Kubernetes, strictly; of KubeRay's own part, whose definition is in no
  package, the names of the fields and their kinds, as ray-project/kuberay names them in rayjob_types.go and
  raycluster_types.go.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import ray
import yaml
from compose_spec import PyCompose

HERE = Path(__file__).parent
POD, TEXTS = object(), dict[str, str]
GROUP: dict[str, Any] = {"rayStartParams": TEXTS, "template": POD}
RAY_JOB: dict[str, Any] = {
    "apiVersion": str,
    "kind": str,
    "metadata": dict,
    "spec": {
        "activeDeadlineSeconds": int,
        "backoffLimit": int,
        "entrypoint": str,
        "runtimeEnvYAML": str,
        "shutdownAfterJobFinishes": bool,
        "submissionMode": str,
        "suspend": bool,
        "ttlSecondsAfterFinished": int,
        "rayClusterSpec": {
            "rayVersion": str,
            "enableInTreeAutoscaling": bool,
            "headGroupSpec": {**GROUP, "serviceType": str},
            "workerGroupSpecs": [
                {**GROUP, "groupName": str, "replicas": int, "minReplicas": int, "maxReplicas": int, "numOfHosts": int}
            ],
        },
    },
}
REQUIRED = ("headGroupSpec", "rayStartParams", "template", "groupName", "minReplicas", "maxReplicas", "entrypoint")


def problems(folder: Path) -> Iterator[str]:
    """What is wrong with the files of a folder, one line each."""
    lint = subprocess.run(["hadolint", "--no-color", folder / "Dockerfile"], capture_output=True, text=True)
    yield from f"{lint.stdout}{lint.stderr}".splitlines()
    try:
        # Docker merges `<<` as YAML 1.1 says; this parser does not know it.
        merged = yaml.safe_dump(yaml.safe_load((folder / "compose.yaml").read_text()))
        compose = PyCompose.from_yaml(merged)
        missing = {"s3", "head", "worker", "build"} - {*compose.service_names()}
        yield from (f"compose.yaml: no service {name}" for name in sorted(missing))
    except (ValueError, RuntimeError) as error:
        yield f"compose.yaml: {error}"
    schema = json.loads((Path(ray.__file__).parent / "autoscaler" / "ray-schema.json").read_text())
    cluster = yaml.safe_load((folder / "ray-cluster-aws.yaml").read_text())
    for error in jsonschema.Draft7Validator(schema).iter_errors(cluster):
        yield f"ray-cluster-aws.yaml: {'.'.join(map(str, error.path))}: {error.message}"
    roles = subprocess.run(["cfn-lint", folder / "aws-roles.yaml"], capture_output=True, text=True)
    yield from f"{roles.stdout}{roles.stderr}".splitlines()
    for name, node in cluster["available_node_types"].items():
        profile = node["node_config"].get("IamInstanceProfile", {}).get("Name")
        if f"InstanceProfileName: {profile}\n" not in (folder / "aws-roles.yaml").read_text():
            yield f"ray-cluster-aws.yaml: {name}: aws-roles.yaml has no instance profile {profile}"
    yield from _ray_job(yaml.safe_load((folder / "kuberay.yaml").read_text()), RAY_JOB, "kuberay.yaml")


def _ray_job(found: Any, expected: Any, where: str) -> Iterator[str]:
    if expected is POD:
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", **found.get("metadata", {})}, **found}
        pod["metadata"].setdefault("name", "a")
        try:
            kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)
        except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
            yield f"{where}: {error}"
    elif isinstance(expected, Mapping):
        if not isinstance(found, Mapping):
            yield f"{where}: a table was expected"
            return
        yield from (f"{where}: no field {key}" for key in found if key not in expected)
        yield from (f"{where}: lacks {key}" for key in REQUIRED if key in expected and key not in found)
        for key in found.keys() & expected.keys():
            yield from _ray_job(found[key], expected[key], f"{where}.{key}")
    elif isinstance(expected, list):
        for number, part in enumerate(found):
            yield from _ray_job(part, expected[0], f"{where}[{number}]")
    elif expected is TEXTS:
        if not all(isinstance(word, str) for pair in found.items() for word in pair):
            yield f"{where}: texts were expected"
    elif type(found) is not expected:
        yield f"{where}: {found!r} is no {expected.__name__}"


if __name__ == "__main__":
    found = list(problems(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE))
    print("\n".join(found) or "the files of docker/ are in order")
    sys.exit(1 if found else 0)
