from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml


def manifest(folder: Path, name: str) -> dict[str, Any]:
    return yaml.safe_load((folder / "kuberay" / name).read_text())


@pytest.fixture
def job(cluster_folder: Path) -> dict[str, Any]:
    return manifest(cluster_folder, "rayjob.yaml")


@pytest.fixture
def groups(cluster_folder: Path) -> list[dict[str, Any]]:
    spec = manifest(cluster_folder, "raycluster.yaml")["spec"]
    return [spec["headGroupSpec"], *spec["workerGroupSpecs"]]


def test_pods_and_storage_are_valid_kubernetes(cluster_folder: Path, groups: list[dict[str, Any]], job: dict[str, Any]) -> None:
    pods = [group["template"] for group in groups] + [job["spec"]["submitterPodTemplate"]]
    resources = [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, **pod} for pod in pods]
    for resource in [*resources, manifest(cluster_folder, "results.yaml")]:
        kubernetes_validate.validate(resource, kubernetes_validate.latest_version(), strict=True)


def test_the_job_brings_up_the_same_cluster(cluster_folder: Path, job: dict[str, Any]) -> None:
    assert job["spec"]["rayClusterSpec"] == manifest(cluster_folder, "raycluster.yaml")["spec"]


def test_pods_are_guaranteed_whole_cpus(groups: list[dict[str, Any]]) -> None:
    for group in groups:
        for container in group["template"]["spec"]["containers"]:
            resources = container["resources"]
            assert resources["requests"] == resources["limits"]
            assert resources["limits"]["cpu"].isdecimal()
            assert "memory" in resources["limits"]
