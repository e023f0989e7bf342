"""Counts modules, lines and imports of the product: `python tools/structure.py [--arrows]`.

`--arrows` lists every import between two packages too. `tests/test_layers.py` holds the rules that
this module checks; an import counts wherever it stands: at the top, in a function, for types only.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {
    "edgefer": "edge",
    "edgefer_train": "train",
    "edgefer_convert": "convert",
    "edgefer_device": "device",
}
"""The import packages, each with the folder that holds it."""

MAY_IMPORT = {
    "edgefer": set[str](),
    "edgefer_train": {"edgefer"},
    "edgefer_convert": {"edgefer", "edgefer_train"},
    "edgefer_device": {"edgefer"},
}
"""Which other packages each may import; `edgefer.cli` alone loads all verbs, lazily."""

FLOORS = (
    ("commands",),
    ("bench", "doctor", "predict", "deploy", "export"),
    ("daemon",),
    ("sinks",),
    ("pipeline",),
    ("faces", "mood"),
    ("cameras",),
    ("web", "page"),
    ("system",),
)
"""The rooms of the device from top to bottom; a room imports itself and lower floors."""

VAGUE = {"common", "life", "parts", "shared", "utils"}
"""Names of files that lack a noun."""


@dataclass(frozen=True)
class Arrow:
    """One module that imports another."""

    importer: str
    imported: str

    def __str__(self) -> str:
        return f"{self.importer} -> {self.imported}"


@dataclass(frozen=True)
class Structure:
    """All modules below `root`, and what they import of each other."""

    root: Path = ROOT

    @cached_property
    def modules(self) -> dict[str, Path]:
        """The file of each module, by its dotted name."""
        return {
            name_of(path.relative_to(self.root / folder)): path
            for package, folder in PACKAGES.items()
            for path in sorted((self.root / folder / package).rglob("*.py"))
        }

    @cached_property
    def arrows(self) -> list[Arrow]:
        """Every import of one module by another, without those of `edgefer.cli`."""
        return [
            Arrow(name, imported)
            for name, path in self.modules.items()
            if name != "edgefer.cli"
            for imported in sorted(imports(name, path, self.modules) - {name})
        ]

    @cached_property
    def package_arrows(self) -> set[tuple[str, str]]:
        """Every import of one package, a folder of modules, by another."""
        pairs = {(self.package(a.importer), self.package(a.imported)) for a in self.arrows}
        return {pair for pair in pairs if pair[0] != pair[1]}

    def package(self, module: str) -> str:
        """Return the package that a module lies in, or is."""
        is_package = self.modules[module].name == "__init__.py"
        return module if is_package else module.rpartition(".")[0]

    @property
    def lines(self) -> int:
        """Lines of Python, with blank ones and comments."""
        return sum(len(path.read_text().splitlines()) for path in self.modules.values())

    def foreign(self) -> list[Arrow]:
        """Return the imports of a package of ours that must not know the other."""
        return [arrow for arrow in self.arrows if not may_import(arrow)]

    def upward(self) -> list[Arrow]:
        """Return the imports of the device that do not lead to a lower floor."""
        return [arrow for arrow in self.arrows if not leads_down(arrow)]

    def circles(self) -> list[list[str]]:
        """Return the groups of modules that import each other in a circle."""
        graph: dict[str, set[str]] = {name: set() for name in self.modules}
        for arrow in self.arrows:
            graph[arrow.importer].add(arrow.imported)
        reached = {name: reachable(name, graph) for name in graph}
        groups = {
            tuple(sorted(other for other in reached[name] if name in reached[other]))
            for name in graph
            if name in reached[name]
        }
        return sorted(list(group) for group in groups)

    def mutual(self) -> list[tuple[str, str]]:
        """Return the pairs of packages that import each other."""
        arrows = self.package_arrows
        return sorted(pair for pair in arrows if pair[::-1] in arrows and pair < pair[::-1])

    def misnamed(self) -> list[str]:
        """Return the modules that repeat their folder's name, or whose name lacks a noun."""
        return [name for name in self.modules if is_misnamed(*name.split(".")[-2:])]


def name_of(path: Path) -> str:
    """Return the dotted name of a module, from its path below the import root."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(name: str, path: Path, known: dict[str, Path]) -> set[str]:
    """Return the modules among the known that a file imports anywhere in it."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        for module, attribute in imported_by(node, package):
            whole = f"{module}.{attribute}"
            found |= {next((one for one in (whole, module) if one in known), "")}
    return found - {""}


def imported_by(node: ast.AST, package: str) -> Iterator[tuple[str, str]]:
    """Yield what a node imports: a module, and the attribute of it that may be a module too."""
    match node:
        case ast.Import(names):
            yield from ((alias.name, "") for alias in names)
        case ast.ImportFrom(module, names, level):
            above = package.split(".")[: len(package.split(".")) - (level or 0) + 1]
            base = ".".join([*(above if level else []), *([module] if module else [])])
            yield from ((base, alias.name) for alias in names)
        case ast.Call(ast.Attribute(attr="import_module"), [ast.Constant(str(module)), *_]):
            yield module, ""


def may_import(arrow: Arrow) -> bool:
    """Say whether the importing package may know the other."""
    here, there = (name.split(".")[0] for name in (arrow.importer, arrow.imported))
    return here == there or there in MAY_IMPORT[here]


def leads_down(arrow: Arrow) -> bool:
    """Say whether an import within the device stays in its room or leads to a lower floor."""
    if not all(name.startswith("edgefer_device.") for name in (arrow.importer, arrow.imported)):
        return True
    here, there = (name.split(".")[1] for name in (arrow.importer, arrow.imported))
    return here == there or floor(here) < floor(there)


def floor(room: str) -> int:
    """Return how far below the top a room lies; a room that is in no floor is refused."""
    for number, rooms in enumerate(FLOORS):
        if room in rooms:
            return number
    raise ValueError(
        f"the room {room} is on no floor: add it to FLOORS and to docs/architecture.md"
    )


def reachable(start: str, graph: dict[str, set[str]]) -> set[str]:
    """Return everything that a module imports, directly or through others."""
    found: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += graph[name]
    return found


def is_misnamed(folder: str, file: str = "") -> bool:
    """Say whether a file's name repeats its folder's, or says nothing."""
    return bool(VAGUE & {folder, file}) or folder in (file, *file.split("_"))


def main() -> None:
    """Print the counts, and every breach of the rules."""
    structure = Structure()
    found: dict[str, list[str]] = {
        "imports of a foreign package": [str(arrow) for arrow in structure.foreign()],
        "upward imports": [str(arrow) for arrow in structure.upward()],
        "circles": [" ".join(circle) for circle in structure.circles()],
        "packages that import each other": [" <-> ".join(pair) for pair in structure.mutual()],
        "misnamed modules": structure.misnamed(),
    }
    print(f"{len(structure.modules):6} modules\n{structure.lines:6} lines")
    print(f"{len(structure.package_arrows):6} imports between packages")
    for what, breaches in found.items():
        print("\n".join([f"{len(breaches):6} {what}", *(f"         {one}" for one in breaches)]))
    if "--arrows" in sys.argv:
        print("\n".join(f"{here} -> {there}" for here, there in sorted(structure.package_arrows)))


if __name__ == "__main__":
    main()
