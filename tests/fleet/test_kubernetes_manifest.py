"""The manifest for KubeRay: right by Kubernetes' schemas, and in agreement with what displays need."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from xshm import DisplaySpec

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed: it comes with Ray")
validation = pytest.importorskip("kubernetes_validate", reason="pip install kubernetes-validate")

_ROOT = Path(__file__).parents[2]
_DISPLAYS = 16  # of each worker, as the manifest says


@pytest.fixture(scope="module")
def manifest() -> Any:
    return yaml.safe_load((_ROOT / "examples" / "containers" / "raycluster.yaml").read_text())


def _groups(manifest: Any) -> list[Any]:
    return [manifest["spec"]["headGroupSpec"], *manifest["spec"]["workerGroupSpecs"]]


def _bytes(quantity: str) -> int:
    units = {"Mi": 1 << 20, "Gi": 1 << 30}
    return int(quantity[:-2]) * units[quantity[-2:]]


def test_its_pods_are_valid(manifest: Any) -> None:
    assert (manifest["apiVersion"], manifest["kind"]) == ("ray.io/v1", "RayCluster")
    for group in _groups(manifest):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": group["template"]["spec"]}
        validation.validate(pod, validation.latest_version(), strict=True)


def test_a_wrong_pod_would_be_noticed(manifest: Any) -> None:
    spec = manifest["spec"]["headGroupSpec"]["template"]["spec"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": {**spec, "volume": []}}
    with pytest.raises(validation.ValidationError):
        validation.validate(pod, validation.latest_version(), strict=True)


def test_all_nodes_have_one_token_and_the_version_of_the_extra(manifest: Any) -> None:
    assert manifest["spec"]["authOptions"] == {"mode": "token"}
    extras = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (least,) = (each.removeprefix("ray>=") for each in extras["fleet"] if each.startswith("ray"))
    assert manifest["spec"]["rayVersion"].startswith(least)


def test_rays_parameters_are_texts(manifest: Any) -> None:
    for group in _groups(manifest):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())


def test_what_is_mounted_is_a_volume(manifest: Any) -> None:
    for group in _groups(manifest):
        spec = group["template"]["spec"]
        mounted = {mount["name"] for container in spec["containers"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in spec["volumes"]}


def test_displays_and_store_have_room(manifest: Any) -> None:
    (worker,) = manifest["spec"]["workerGroupSpecs"]
    spec = worker["template"]["spec"]
    (room,) = (_bytes(each["emptyDir"]["sizeLimit"]) for each in spec["volumes"] if each["name"] == "shm")
    need = int(worker["rayStartParams"]["object-store-memory"]) + _DISPLAYS * DisplaySpec().nbytes
    assert need < room
    limit = _bytes(spec["containers"][0]["resources"]["limits"]["memory"])
    assert need + _DISPLAYS * (100 << 20) + (1 << 30) < limit
    assert int(worker["rayStartParams"]["num-cpus"]) / 0.25 >= _DISPLAYS
