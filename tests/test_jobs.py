"""The files that start runs elsewhere: they name commands, presets and versions that there are."""

import os
import re
import signal
import subprocess
import sysconfig
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import ray
import yaml
from ray._private.ray_constants import DEFAULT_DASHBOARD_AGENT_LISTEN_PORT, DEFAULT_DASHBOARD_PORT

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
        named = {variable["name"]: variable["value"] for variable in container["env"]}
        assert Path(named["HF_HOME"]).is_relative_to("/shared")  # a model in one pod's own cache is in no other's
        assert int(named["RAY_JOB_STOP_WAIT_TIME_S"]) < pod["terminationGracePeriodSeconds"]
    assert len({pod["containers"][0]["image"] for pod in found}) == 1


def started() -> list[list[str]]:
    """The overrides with which the files start a run."""
    job = yaml.safe_load((ROOT / "jobs" / "kuberay" / "rayjob.yaml").read_text())
    composed = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())
    return [job["spec"]["entrypoint"].split()[2:], composed["services"]["run"]["command"]]


@pytest.mark.parametrize("overrides", started(), ids=["rayjob", "compose"])
def test_the_overrides_in_the_files_are_ones_that_there_are(overrides: list[str]) -> None:
    assert compose(overrides).cluster.address == "auto"


def test_the_compose_files_nodes_are_healthy_where_their_ray_is() -> None:
    """They were where `rstar-math --version` answered, which needs no Ray."""
    services = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())["services"]
    asked = {name: each["healthcheck"].get("test", [""])[-1] for name, each in services.items()}
    agent = f"http://localhost:{DEFAULT_DASHBOARD_AGENT_LISTEN_PORT}/api/local_raylet_healthz"
    assert asked == {"head": f"http://localhost:{DEFAULT_DASHBOARD_PORT}/api/gcs_healthz", "worker": agent, "run": ""}


SCRIPTS = sorted([*(ROOT / "jobs").glob("*.sh"), *(ROOT / "jobs").glob("*.sbatch")])


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_one_that_bash_reads(script: Path) -> None:
    subprocess.run(["bash", "-n", script], check=True)
    assert re.search(r'rstar-math (evolve|"\$command")', script.read_text())


@pytest.mark.parametrize("file", [*SCRIPTS, ROOT / "docker" / "Dockerfile"], ids=lambda path: path.name)
def test_a_script_and_the_images_have_no_fault_that_a_linter_knows(file: Path) -> None:
    linter = "hadolint" if file.name == "Dockerfile" else "shellcheck"
    done = subprocess.run([Path(sysconfig.get_path("scripts")) / linter, file], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_a_ray_job_whose_runs_would_lie_in_a_nodes_temporary_folder_is_not_submitted() -> None:
    environment = os.environ | {"RAY_API_SERVER_ADDRESS": "http://127.0.0.1:1"}
    script = [ROOT / "jobs" / "ray_job.sh", "preset=demo"]
    done = subprocess.run(["bash", *script], env=environment, capture_output=True, text=True)
    assert (done.returncode, "runs=/shared/runs" in done.stderr) == (2, True)


def under_slurm(
    folder: Path, *arguments: str, code: int = 0, state: str = "RUNNING", head: str = "", **environment: str
) -> list[str]:
    """What the job did, command by command, where Slurm, Ray and `rstar-math` only note that they were called; the second
    node takes seconds to join. `head`: what Ray does first on any node."""
    bodies = {
        "srun": 'while [[ $1 == --* ]]; do shift; done; exec "$@"',
        "scontrol": f'[ "$1" = show ] && printf "n1\\nn2\\n" || echo "scontrol $*" >>{folder}/done',
        "squeue": f"echo {state}",
        "hostname": "echo 10.0.0.7 172.17.0.1",
        ".venv/bin/ray": f"""[ $1 = start ] || exec sed -n 's/.*ray start.*/ 1 node_&/p' {folder}/done
{head}
[[ $* == *--head* ]] || sleep 3
echo "ray $* mode=$RAY_AUTH_MODE ${{#RAY_AUTH_TOKEN}}" >>{folder}/done
exec sleep 20""",
        ".venv/bin/rstar-math": f'echo "rstar-math $* at=$RAY_ADDRESS" >>{folder}/done; exit {code}',
    }
    for name, body in bodies.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"#!/usr/bin/env bash\n{body}\n")
        (folder / name).chmod(0o755)
    slurm = {
        "SLURM_SUBMIT_DIR": str(folder),
        "SLURM_JOB_NODELIST": "n[1-2]",
        "SLURM_JOB_NUM_NODES": "2",
        "SLURM_JOB_ID": "7",
    }
    with subprocess.Popen(
        ["bash", ROOT / "jobs" / "slurm.sbatch", *arguments],
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", **slurm, **environment},
        start_new_session=True,
    ) as job:
        try:
            assert job.wait(60) == code
        finally:
            with suppress(ProcessLookupError):
                os.killpg(job.pid, signal.SIGKILL)  # Slurm ends what a job leaves
    done = folder / "done"
    return done.read_text().splitlines() if done.exists() else []


def test_under_slurm_a_head_and_workers_with_one_token_serve_the_run(tmp_path: Path) -> None:
    *nodes, run = under_slurm(tmp_path, "preset=paper", "runs=/shared")
    assert run == "rstar-math evolve cluster.address=auto preset=paper runs=/shared at=10.0.0.7:6379"
    assert sorted(nodes) == [
        "ray start --address=10.0.0.7:6379 --block mode=token 64",
        "ray start --head --node-ip-address=10.0.0.7 --port=6379 --block mode=token 64",
    ]


def test_a_slurm_job_whose_ray_does_not_start_ends_at_once(tmp_path: Path) -> None:
    """It asked for two minutes whether Ray was there by now."""
    began = time.monotonic()
    assert under_slurm(tmp_path, "name=a", code=1, head="exit 1") == []
    assert time.monotonic() - began < 30


def test_in_a_slurm_array_each_task_evaluates_its_benchmark_into_a_folder_of_its_own(tmp_path: Path) -> None:
    asked = ("evaluate", "policy=m", "out=/s/a b", "benchmark=gsm8k,math500,svamp")
    run = under_slurm(tmp_path, *asked, SLURM_ARRAY_TASK_ID="1")[-1]
    wanted = "rstar-math evaluate cluster.address=auto policy=m out=/s/a b/1 benchmark=math500"
    assert run == f"{wanted} at=10.0.0.7:6379"


@pytest.mark.parametrize(
    ("code", "state", "queued"), [(130, "RUNNING", True), (130, "COMPLETING", False), (0, "RUNNING", False)]
)
def test_a_slurm_job_that_was_stopped_is_queued_again_unless_somebody_cancelled_it(
    tmp_path, code, state, queued
) -> None:
    did = under_slurm(tmp_path, "name=a", code=code, state=state)
    assert ("scontrol requeue 7" in did) is queued
