"""A search over two hosts whose link goes down: a Ray node in each of two network namespaces, scripted engines.

The second host is not killed: it hears nothing any more and nobody hears it, no connection is closed. Its death has to be
noticed, its problems have to go elsewhere, and the trees have to be those of a search that nothing happened to.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import psutil
from artefacts import digests

from rstar_math.cli.compose import compose
from rstar_math.cluster.fleet import Fleet, Models
from rstar_math.cluster.growth import Order, grow_into
from rstar_math.config import SearchConfig
from rstar_math.records import Problem
from rstar_math.scripted import ScriptedEngine

ADDRESSES = ("10.213.7.1", "10.213.7.2")
PORT, WIRE = 6379, "wire"
#: Of the machine that must go on alone: an engine, a worker, and one more of either; the other host has room for one.
CPUS = (3, 1)
PROBLEMS = [Problem(f"p{n}", f"What is {n} + 3?", str(n + 3)) for n in range(16)]
#: Trees after which the link goes down.
CUT_AFTER = 4
#: A node that does not answer is dead after some seconds, not after Ray's usual half minute; a busy one may take a few.
IMPATIENT = {"initial_delay_ms": "0", "period_ms": "500", "timeout_ms": "500", "failure_threshold": "16"}


def why_not() -> str | None:
    """Why this machine cannot have two hosts; None where it can."""
    if os.geteuid() != 0:
        return "only root makes network namespaces"
    if shutil.which("ip") is None:
        return "there is no `ip` (apt-get install iproute2)"
    name = f"rstar-{uuid4().hex[:6]}"
    tried = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if tried.returncode == 0:
        try:
            link = ["ip", "-n", name, "link", "add", "name", "one", "type", "veth", "peer", "name", "two"]
            tried = subprocess.run(link, capture_output=True, text=True)
        finally:
            ip("netns", "del", name)
    return None if tried.returncode == 0 else f"no network namespaces here: {tried.stderr.strip()}"


def ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


@contextmanager
def two_hosts() -> Iterator[tuple[str, str]]:
    """The names of two namespaces with a link between them; whatever runs there ends with them."""
    first, second = hosts = tuple(f"rstar-{uuid4().hex[:6]}" for _ in ADDRESSES)
    try:
        for host in hosts:
            ip("netns", "add", host)
        ip("-n", first, "link", "add", "name", WIRE, "type", "veth", "peer", "name", WIRE, "netns", second)
        for host, address in zip(hosts, ADDRESSES, strict=True):
            ip("-n", host, "addr", "add", f"{address}/24", "dev", WIRE)
            for device in ("lo", WIRE):
                ip("-n", host, "link", "set", device, "up")
            # By its way out Ray finds its own address.
            ip("-n", host, "route", "add", "default", "dev", WIRE)
        yield first, second
    finally:
        for host in hosts:
            while pids := ip("netns", "pids", host).split():
                psutil.wait_procs([process for pid in pids for process in _killed(int(pid))], 30)
            ip("netns", "del", host)


def _killed(pid: int) -> Iterator[psutil.Process]:
    try:
        process = psutil.Process(pid)
        process.kill()
    except psutil.NoSuchProcess:
        return
    yield process


def main(folder: Path) -> None:
    """Raises where a promise is broken."""
    environment = os.environ | {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": uuid4().hex * 2,
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    environment |= {f"RAY_health_check_{name}": value for name, value in IMPATIENT.items()}
    quiet = {"env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    ray = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block"]
    head = ["--head", f"--port={PORT}", "--include-dashboard=false"]
    # In a folder of its own, else any `ray.init` on this machine would find that cluster; sockets ask for a short one.
    with tempfile.TemporaryDirectory(prefix="hosts-") as own_state, two_hosts() as hosts:
        environment["RAY_TMPDIR"] = own_state
        nodes: list[subprocess.Popen[bytes]] = []
        for host, address, cpus in zip(hosts, ADDRESSES, CPUS, strict=True):
            own = head if host == hosts[0] else [f"--address={ADDRESSES[0]}:{PORT}"]
            command = _on(host, *ray, *own, f"--node-ip-address={address}", f"--num-cpus={cpus}")
            nodes.append(subprocess.Popen(command, **quiet))
            if host == hosts[0]:
                _wait_for_the_head(host)
        search = _on(hosts[0], sys.executable, __file__, str(folder), hosts[1])
        done = subprocess.run(search, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for node in nodes:
        node.wait()
    assert done.returncode == 0, done.stdout
    deaths = json.loads((folder / "deaths.json").read_text())
    assert deaths[0] == 0 < deaths[1], f"deaths before and after the link went down: {deaths}\n{done.stdout}"
    assert digests(folder / "cut") == digests(folder / "undisturbed") != {}


def _on(host: str, *command: str) -> list[str]:
    return ["ip", "netns", "exec", host, *command]


def _wait_for_the_head(host: str) -> None:
    knock = f"import socket; socket.create_connection(('{ADDRESSES[0]}', {PORT}), 1)"
    while subprocess.run(_on(host, sys.executable, "-c", knock), stderr=subprocess.DEVNULL).returncode:
        time.sleep(0.2)


def search(folder: Path, other_host: str) -> None:
    """On the first host: the same search twice, the second time without a link from some tree on."""
    config = compose(["cluster.trees_in_flight=2", "cluster.trees_per_part=5", "cluster.search_cpus=1"])
    cluster = replace(config.cluster, address=f"{ADDRESSES[0]}:{PORT}", search_workers=2)
    config = replace(config, cluster=cluster, engine=replace(config.engine, replicas=2, cpus=1.0))
    config = replace(config, ppm_engine=replace(config.ppm_engine, cpus=0.0))
    _wait_for_nodes(cluster.address or "")
    deaths = asyncio.run(_twice(Fleet(config, _slow(), ScriptedEngine), folder, other_host))
    (folder / "deaths.json").write_text(json.dumps(deaths))


def _wait_for_nodes(address: str) -> None:
    import ray

    from rstar_math.cluster.joining import connect_to

    connect_to(address)
    while sum(node["Alive"] for node in ray.nodes()) < len(ADDRESSES):
        time.sleep(0.2)


async def _twice(fleet: Fleet, folder: Path, other_host: str) -> list[int]:
    """Deaths that were noticed in each of the two searches."""
    deaths = []
    for name, cut in (("undisturbed", None), ("cut", other_host)):
        await _grow(fleet, folder / name / "round-1" / "trees", cut)
        deaths.append(fleet._deaths)
    await fleet.release()
    return deaths


async def _grow(fleet: Fleet, folder: Path, cut: str | None) -> None:
    heard: list[object] = []

    def hear(trees: object, *_: object) -> None:
        heard.append(trees)
        if cut and len(heard) == CUT_AFTER:
            ip("-n", cut, "link", "set", WIRE, "down")

    order = Order(Models("no-weights"), SearchConfig(rollouts=2, candidates=4), seed=1, graded=True)
    await grow_into({folder: PROBLEMS}, fleet, order, hear)


def _slow() -> type:
    """An engine that takes its time; a local class, so that it travels to its host whole."""

    class Slow(ScriptedEngine):
        async def propose(self, transcript, count, sampling):
            await asyncio.sleep(0.1)
            return await super().propose(transcript, count, sampling)

    return Slow


if __name__ == "__main__":
    search(Path(sys.argv[1]), sys.argv[2])
