"""Render the chart; write the kustomize tree and the chart's README: `python -m deploy.rendering` (`make manifests`).

The base is the chart with its default values. An overlay holds what its values file adds (`added.yaml`), changes
(`changes.yaml`, as JSON patches) and takes away; applying them is kustomize's own work, so that comparing the two trees
tests something.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from deploy import tools

DEPLOY = Path(__file__).parent
CHART = DEPLOY / "chart" / "thalamus"
VALUES = DEPLOY / "chart" / "values"
KUSTOMIZE = DEPLOY / "kustomize"
DASHBOARDS = DEPLOY.parent / "dashboards"
OVERLAYS = ("small", "production", "gpu-moe")
RELEASE, NAMESPACE = "thalamus", "thalamus"

_README = """# The chart thalamus

A reasoning-routing gateway on Kubernetes; [docs/kubernetes.md](../../../docs/kubernetes.md) leads from an empty cluster
to a dashboard. Values to begin with are in `deploy/chart/values`. `helm lint --strict` refuses a value that is not
described here, and one that does not fit. `make manifests` writes this from `values.schema.json` and `values.yaml`.

```
helm lint --strict deploy/chart/thalamus -f my.yaml
helm upgrade --install thalamus deploy/chart/thalamus --namespace thalamus -f my.yaml
```
"""

Manifest = dict[str, Any]
Identity = tuple[str, str]


def helm(*values: Path, settings: tuple[str, ...] = ()) -> list[Manifest]:
    """Give what `helm template` renders; CalledProcessError carries helm's words."""
    flags = [flag for path in values for flag in ("--values", str(path))]
    flags += [flag for setting in settings for flag in ("--set-json", setting)]
    return _run([tools.fetch() / "helm", "template", RELEASE, CHART, "--namespace", NAMESPACE, *flags])


def kustomize(folder: Path) -> list[Manifest]:
    """Give what `kubectl kustomize` builds."""
    return _run([tools.fetch() / "kubectl", "kustomize", folder])


def by_identity(manifests: list[Manifest]) -> dict[Identity, Manifest]:
    """Give them by kind and name."""
    found = {identity(one): one for one in manifests}
    if len(found) != len(manifests):
        raise ValueError("two manifests have the same kind and name")
    return found


def identity(manifest: Manifest) -> Identity:
    """Give kind and name."""
    return manifest["kind"], manifest["metadata"]["name"]


def write_kustomize(folder: Path = KUSTOMIZE) -> None:
    """Write the kustomize tree anew."""
    shutil.rmtree(folder, ignore_errors=True)
    base = by_identity(helm())
    _write(folder / "base" / "objects.yaml", list(base.values()))
    _write(folder / "base" / "kustomization.yaml", [_kustomization(resources=["objects.yaml"])])
    for name in OVERLAYS:
        _write_overlay(folder / "overlays" / name, base, by_identity(helm(VALUES / f"{name}.yaml")))


def copy_dashboards() -> None:
    """Copy the dashboards and rule files into the chart, which can read nothing outside itself."""
    target = CHART / "dashboards"
    shutil.rmtree(target, ignore_errors=True)
    for path in dashboard_files():
        target.mkdir(exist_ok=True)
        shutil.copyfile(path, target / path.name)


def readme() -> str:
    """Give the chart's README: its values, as the schema describes them, with their defaults."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    defaults = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    rows = [f"| `{key}` | {default} | {meaning} |" for key, default, meaning in _described(schema, defaults, "")]
    return "\n".join([_README, "| value | default | meaning |", "|---|---|---|", *rows, ""])


def _described(schema: dict[str, Any], defaults: dict[str, Any], prefix: str) -> Iterator[tuple[str, str, str]]:
    """Give key, default and meaning of each value; what has no description of its own is a section."""
    for name, part in schema["properties"].items():
        if name == "global":
            continue
        default = defaults[name]
        if "description" not in part:
            yield from _described(part, default, f"{prefix}{name}.")
        elif name == "config":
            yield name, "see values.yaml", part["description"]
        else:
            yield f"{prefix}{name}", f"`{json.dumps(default, ensure_ascii=False)}`", part["description"]


def dashboard_files() -> list[Path]:
    """Give the repository's dashboards (JSON) and Prometheus rule files (YAML)."""
    return sorted([*DASHBOARDS.glob("generated/*.json"), *DASHBOARDS.glob("rules/*.yaml")])


def _run(command: list[str | Path]) -> list[Manifest]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, [str(word) for word in command], done.stdout, done.stderr)
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def _write_overlay(folder: Path, base: dict[Identity, Manifest], wanted: dict[Identity, Manifest]) -> None:
    added = [one for name, one in wanted.items() if name not in base]
    patches: list[dict[str, Any]] = []
    for (kind, name), one in base.items():
        target = {"kind": kind, "name": name}
        if (kind, name) not in wanted:
            gone = {"apiVersion": one["apiVersion"], "kind": kind, "metadata": {"name": name}, "$patch": "delete"}
            patches.append({"target": target, "patch": yaml.safe_dump(gone, sort_keys=False)})
        elif changes := list(_differences(one, wanted[kind, name], "")):
            patches.append({"target": target, "patch": yaml.safe_dump(changes, sort_keys=False)})
    if added:
        _write(folder / "added.yaml", added)
    resources = ["../../base", *(["added.yaml"] if added else [])]
    _write(folder / "kustomization.yaml", [_kustomization(resources=resources, patches=patches)])


def _kustomization(**parts: Any) -> Manifest:
    kept = {name: part for name, part in parts.items() if part}
    return {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "namespace": NAMESPACE, **kept}


def _differences(old: Any, new: Any, path: str) -> Iterator[dict[str, Any]]:
    """Give JSON patch operations (RFC 6902) that make `new` of `old`; lists of another length are replaced whole."""
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            step = f"{path}/{key.replace('~', '~0').replace('/', '~1')}"
            if key not in new:
                yield {"op": "remove", "path": step}
            elif key not in old:
                yield {"op": "add", "path": step, "value": new[key]}
            else:
                yield from _differences(old[key], new[key], step)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for place, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _differences(before, after, f"{path}/{place}")
    else:
        yield {"op": "replace", "path": path, "value": new}


class Readable(yaml.SafeDumper):
    """Texts of several lines as blocks, and no aliases."""

    def ignore_aliases(self, _: Any) -> bool:
        """Write equal parts out each time."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


Readable.add_representer(str, _text)


def _write(path: Path, manifests: list[Manifest]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    note = "# Written by `make manifests` from deploy/chart. Change that, or put an overlay of your own over this.\n"
    path.write_text(note + yaml.dump_all(manifests, Dumper=Readable, sort_keys=False, allow_unicode=True, width=1000))


if __name__ == "__main__":
    copy_dashboards()
    write_kustomize()
    (CHART / "README.md").write_text(readme(), encoding="utf-8")
