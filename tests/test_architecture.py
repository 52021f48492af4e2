"""A folder is a rule: what each may import, read off the source files."""

import ast
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TORCH = frozenset({"torch", "torchvision"})
TENSORFLOW = frozenset({"tensorflow", "keras"})
FRAMEWORKS = TORCH | TENSORFLOW
BASIS = ("keras_blitz.errors", "keras_blitz.files", "keras_blitz.npz")  # of keras_blitz, open to every folder


@dataclass(frozen=True)
class Rule:
    """What the files of a folder may import.

    Args:
        own: folders of parity; a folder imports itself.
        top: of the frameworks, at the top of a file.
        inside: of the frameworks, inside functions, too.
        product: keras_blitz, beside its errors, files and archives.
    """

    own: frozenset[str] = frozenset()
    top: frozenset[str] = frozenset()
    inside: frozenset[str] = frozenset()
    product: bool = True


def rule(own: str = "", **fields) -> Rule:
    return Rule(own=frozenset(own.split()), **fields)


# The folders of parity, from what everything needs to what needs everything.
RULES = {
    "core": rule(product=False),
    "record": rule("core", top=FRAMEWORKS),
    "cases": rule("core", product=False),
    "twins": rule(),
    "twins/torch": rule("twins", top=TORCH, product=False),
    "twins/keras": rule("twins", top=TENSORFLOW),
    "suite": rule("core record cases twins", inside=FRAMEWORKS),
    "pair": rule("core record report pair/hints", top=TENSORFLOW),  # report: a Report prints and writes itself
    "exported": rule("core pair report"),
    "pair/hints": rule("core record", top=TENSORFLOW),  # told all that is known, as arguments
    "translate": rule("core record pair report twins", top=FRAMEWORKS),
    "translate/rules": rule("translate", top=FRAMEWORKS),
    "faults": rule("core record suite twins", top=TENSORFLOW),
    "faults/door": rule("core faults twins", top=FRAMEWORKS),  # by parity.check alone, as a user has it
    "faults/translator": rule("core faults translate", top=FRAMEWORKS),
    "faults/random": rule("core", top=FRAMEWORKS),  # likewise; what is right is known without it
    "gaps": rule("core twins"),
    "report": rule("core suite faults gaps"),
}
# Torch is imported before TensorFlow, wherever both are; no other file of these folders may name it.
TORCH_IN_RECORD = {
    f"parity/record/{name}.py"
    for name in (
        "torch_recorder",
        "torch_rounded",
        "torch_state",
        "torch_axes",
        "torch_calls",
        "torch_draws",
        "torch_exact",
        "torch_flow",
        "torch_functions",
        "torch_modules",
        "torch_opened",
        "torch_uses",
        "frameworks",
    )
}


@dataclass(frozen=True)
class Import:
    """One imported module, by its dotted name, and whether it stands at the top of its file."""

    module: str
    top: bool

    @property
    def package(self) -> str:
        return self.module.split(".")[0]


def imports(path: Path) -> list[Import]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = set(map(id, tree.body))
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [Import(alias.name, id(node) in top) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [Import(f"{node.module}.{alias.name}", id(node) in top) for alias in node.names]
    return found


def files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def folder_of(module: str) -> str:
    """Return the folder of RULES that a module of parity is in, "" for a file on parity's own floor."""
    parts = module.split(".")[1:]
    return next((key for key in ("/".join(parts[:2]), parts[0]) if key in RULES), "") if parts else ""


def violations(path: Path) -> list[str]:
    """Return what a file of parity imports against the rule of its folder."""
    name = str(path.relative_to(ROOT))
    folder = folder_of(name.removesuffix(".py").replace("/", "."))
    allowed = RULES[folder]
    wrong = []
    for one in imports(path):
        if one.package == "parity":
            other = folder_of(one.module)
            if other and other != folder and other.split("/")[0] not in allowed.own and other not in allowed.own:
                wrong.append(one.module)
        elif one.package in FRAMEWORKS:
            if one.package not in (allowed.top if one.top else allowed.top | allowed.inside):
                wrong.append(one.module)
        elif one.package == "keras_blitz" and not allowed.product and not one.module.startswith(BASIS):
            wrong.append(one.module)
    return wrong


def importing_torch(folder: str) -> set[str]:
    return {str(path.relative_to(ROOT)) for path in files(folder) if TORCH & {one.package for one in imports(path)}}


def test_every_folder_of_parity_has_a_rule():
    folders = {str(path.parent.relative_to(ROOT / "parity")) for path in files("parity")} - {"."}
    assert folders == set(RULES)


@pytest.mark.parametrize("folder", RULES)
def test_a_folder_imports_what_its_rule_allows(folder):
    own = [path for path in files(f"parity/{folder}") if folder_of(_module(path)) == folder]
    assert own
    assert {str(path.relative_to(ROOT)): wrong for path in own if (wrong := violations(path))} == {}


def test_no_arrow_between_the_folders_runs_back():
    """Read the rules themselves: from each folder no way may lead back to it."""

    def reached(folder: str, seen: set[str]) -> set[str]:
        for other in RULES[folder].own - seen:
            seen.add(other)
            reached(other, seen)
        return seen

    assert [folder for folder in RULES if "/" not in folder and folder in reached(folder, set())] == []


def test_the_rule_is_able_to_fail(tmp_path, monkeypatch):
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    file = tmp_path / "parity" / "core" / "bad.py"
    file.parent.mkdir(parents=True)
    file.write_text("import numpy\nimport torch\nfrom parity.suite.run import run\nfrom keras_blitz import models\n")
    assert violations(file) == ["torch", "parity.suite.run.run", "keras_blitz.models"]


def test_only_pytorchs_recorder_names_torch_among_the_recorders():
    assert importing_torch("parity/record") == TORCH_IN_RECORD


def test_keras_blitz_never_imports_parity():
    assert [str(path) for path in files("keras_blitz") if "parity" in {i.package for i in imports(path)}] == []


def test_keras_blitz_imports_torch_only_to_read_a_checkpoint():
    assert importing_torch("keras_blitz") == {"keras_blitz/weights/pickles.py"}


def parts_imported(path: Path) -> set[str]:
    """Return the parts of keras_blitz, its folders and single files, that a file imports, inside functions too."""
    names = [one.module.split(".") for one in imports(path) if one.package == "keras_blitz"]
    return {name[1] for name in names if len(name) > 1}


def test_no_parts_of_keras_blitz_import_each_other():
    graph: dict[str, set[str]] = {}
    for path in files("keras_blitz"):
        part = path.relative_to(ROOT / "keras_blitz").with_suffix("").parts[0]
        if part != "__init__":
            graph.setdefault(part, set()).update(parts_imported(path) - {part})
    assert "weights" in graph["models"]
    assert "models" not in graph["weights"]
    assert list(TopologicalSorter(graph).static_order()), "raises CycleError, with the circle"


def test_circle_is_noticed(tmp_path):
    models, weights = tmp_path / "models.py", tmp_path / "weights.py"
    models.write_text("def build():\n    from keras_blitz.weights import load_checkpoint, pretrained\n")
    weights.write_text("import numpy\nfrom keras_blitz import models\n")
    with pytest.raises(CycleError, match="nodes are in a cycle"):
        list(TopologicalSorter({path.stem: parts_imported(path) for path in (models, weights)}).static_order())


def test_no_file_is_long_but_the_tables_of_rows():
    tables = ("parity/gaps/", "parity/faults/")
    lines = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in files("parity") + files("keras_blitz")
    }
    assert {name: count for name, count in lines.items() if count > 400 and not name.startswith(tables)} == {}


@pytest.mark.parametrize("package", ["parity/golden"])
def test_golden_holds_data_only(package):
    assert files(package) == []


def _module(path: Path) -> str:
    return str(path.relative_to(ROOT)).removesuffix(".py").replace("/", ".")
