"""The promises of docker/ about its image: a job server that takes builds, KubeRay's probes, Ray's autoscaler on AWS.

No Docker here: a Ray head starts in the environment of the tests, which holds at least what the Dockerfile installs.
"""

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from inrzoo.store import open_store

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
PROBE = "wget --tries 1 -T 5 -q -O- http://localhost:{}/{} | grep success"
"""KubeRay's requests to every node's agent and the dashboard (ray-operator/controllers/ray/utils/constant.go)."""


def test_the_image_has_the_packages_of_a_cluster() -> None:
    for extras in re.findall(r"\bextras=([a-z0-9,]+)", DOCKERFILE):
        assert {"build", "cluster", "compiler", "hub", "s3", "train"} <= {*extras.split(",")}
    needs = [Requirement(need) for need in EXTRAS["cluster"]]
    assert "default" in next(need for need in needs if need.name == "ray").extras
    # Ray says what its job server needs; `pip check` of this environment is `make`'s business.
    for need in map(Requirement, metadata.requires("ray") or []):
        if need.marker and need.marker.evaluate({"extra": "default"}):
            assert need.specifier.contains(metadata.version(need.name), prereleases=True), need


def test_the_image_has_what_probes_call() -> None:
    final = DOCKERFILE.split("\nFROM ")[-1]
    [packages] = re.findall(r"apt-get install --yes --no-install-recommends ([a-z+ ]+?) *\\\n", final)
    assert "wget" in packages.split()


def test_login_shells_find_the_commands_of_the_image() -> None:
    """KubeRay runs `bash -lc`, `ray up` runs `bash --login`; Debian's /etc/profile sets PATH anew."""
    line = re.search(r'echo "(export PATH=.*)" > /etc/profile.d/', DOCKERFILE.split("\nFROM ")[-1])
    assert line is not None
    program = f"PATH=/usr/bin:/bin; {line[1].replace(chr(92), '')}; echo $PATH"
    said = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True).stdout
    assert said == "/opt/inrzoo/bin:/usr/bin:/bin\n"


def test_the_autoscaler_on_aws_finds_its_packages_and_its_roles() -> None:
    from ray.autoscaler._private.aws import config, node_provider  # noqa: F401  (they import boto3 and botocore)

    cluster = yaml.safe_load((ROOT / "docker" / "ray-cluster-aws.yaml").read_text(encoding="utf-8"))
    assert all("IamInstanceProfile" in node["node_config"] for node in cluster["available_node_types"].values())
    assert cluster["setup_commands"] == cluster["head_setup_commands"] == []  # Ray's defaults install packages


def _free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in held]
    for server in held:
        server.close()
    return ports


@pytest.fixture
def short() -> Iterator[str]:
    """A folder whose name leaves room for the names of Ray's sockets, 107 bytes at most."""
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield folder


@pytest.mark.slow
def test_a_build_is_submitted_to_the_job_server_of_a_head(tmp_path: Path, short: str) -> None:
    """As KubeRay does for docker/kuberay.yaml: head, probes, then `ray job submit -- inrzoo build … --address auto`."""
    gcs, dashboard, agent, clients = _free_ports(4)
    folder = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "RAY_TMPDIR": short}
    environment |= {"HOME": str(tmp_path), "RAY_USAGE_STATS_ENABLED": "0"}
    environment.pop("RAY_AUTH_MODE", None)  # set by a Ray that ran in this process; the new home has no token for it
    words = ["start", "--head", "--block", f"--port={gcs}", "--num-cpus=1", "--include-dashboard=true"]
    words += [f"--dashboard-port={dashboard}", f"--dashboard-agent-listen-port={agent}"]
    words += [f"--ray-client-server-port={clients}", "--object-store-memory=100000000"]
    log = tmp_path / "head.log"
    with log.open("w") as into:
        head = subprocess.Popen([folder / "ray", *words], env=environment, stdout=into, stderr=subprocess.STDOUT)
    try:
        for probe in (PROBE.format(agent, "api/local_raylet_healthz"), PROBE.format(dashboard, "api/gcs_healthz")):
            until = time.monotonic() + 120
            while subprocess.run(["bash", "-c", probe], capture_output=True).returncode:
                assert head.poll() is None and time.monotonic() < until, log.read_text()
                time.sleep(1)
        store = tmp_path / "digits.zarr"
        build = ["inrzoo", "build", "digits", "--limit", "8", "--steps", "20", "--engine", "reference"]
        submit = ["job", "submit", f"--address=http://127.0.0.1:{dashboard}", "--", *build]
        submit += ["--out", str(store), "--address", "auto"]
        done = subprocess.run([folder / "ray", *submit], env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0 and "succeeded" in done.stdout, done.stdout + done.stderr
        assert open_store(store).info.complete
    finally:
        head.terminate()
        head.wait(timeout=60)
