"""The files that start runs elsewhere: they name commands, presets and versions that there are."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import ray
import yaml

from rstar_math.cli.compose import compose

ROOT = Path(__file__).parents[1]
MANIFESTS = sorted((ROOT / "jobs" / "kuberay").glob("*.yaml"))


def pods(value: Any) -> list[Any]:
    """Every pod's spec below `value`."""
    if isinstance(value, list):
        return [found for each in value for found in pods(each)]
    if not isinstance(value, dict):
        return []
    own = [value["template"]["spec"]] if "template" in value else []
    return own + [found for name, each in value.items() if name != "template" for found in pods(each)]


@pytest.mark.parametrize("path", [path for path in MANIFESTS if path.stem != "volume"], ids=lambda path: path.stem)
def test_a_kuberay_cluster_has_the_projects_ray_and_one_volume_and_one_image_in_all_pods(path: Path) -> None:
    manifest = yaml.safe_load(path.read_text())
    assert re.search(rf'rayVersion: "{re.escape(ray.__version__)}"', path.read_text())
    (claim,) = (yaml.safe_load(each.read_text())["metadata"]["name"] for each in MANIFESTS if each.stem == "volume")
    found = pods(manifest["spec"])
    assert len(found) == 3
    for pod in found:
        (container,) = pod["containers"]
        assert pod["volumes"][0]["persistentVolumeClaim"]["claimName"] == claim
        assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
        assert container["resources"]["requests"] == container["resources"]["limits"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["terminationGracePeriodSeconds"] > compose([]).cluster.shutdown_grace_seconds
    assert len({pod["containers"][0]["image"] for pod in found}) == 1


def started() -> list[list[str]]:
    """The overrides with which the files start a run."""
    job = yaml.safe_load((ROOT / "jobs" / "kuberay" / "rayjob.yaml").read_text())
    composed = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())
    return [job["spec"]["entrypoint"].split()[2:], composed["services"]["run"]["command"]]


@pytest.mark.parametrize("overrides", started(), ids=["rayjob", "compose"])
def test_the_overrides_in_the_files_are_ones_that_there_are(overrides: list[str]) -> None:
    assert compose(overrides).cluster.address == "auto"


@pytest.mark.parametrize(
    "script", sorted([*(ROOT / "jobs").glob("*.sh"), *(ROOT / "jobs").glob("*.sbatch")]), ids=lambda path: path.name
)
def test_a_script_is_one_that_bash_reads(script: Path) -> None:
    subprocess.run(["bash", "-n", script], check=True)
    assert "rstar-math evolve" in script.read_text()
