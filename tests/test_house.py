"""The house: imports point down only, and nothing heavy is imported before work starts."""

import ast
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "saccade"
FLOORS = {
    **dict.fromkeys(("cli", "__main__", "__init__", "commands", "display", "estimator", "report"), 6),
    "experiment": 5,
    "training": 4,
    **dict.fromkeys(("tasks", "inspection"), 3),
    **dict.fromkeys(("optim", "data", "zoo"), 2),
    "layers": 1,
    **dict.fromkeys(
        ("statistics", "errors", "events", "reading", "writing", "seeds", "arithmetic", "kernels", "wording"), 0
    ),
}


def imports(file: Path) -> set[str]:
    """The floors that a file imports from: "data" for saccade.data.store, "__init__" for saccade itself."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names] if node.module == "saccade" else [node.module]
        else:
            continue
        for name in filter(None, names):
            parts = name.split(".")
            if parts[0] == "saccade":
                assert parts[1:] in ([], ["__version__"]) or parts[1] in FLOORS, (
                    f"{file}: {name} goes through the front door"
                )
                found.add(parts[1] if len(parts) > 1 and parts[1] in FLOORS else "__init__")
    return found


def floor_of(file: Path) -> str:
    return file.relative_to(SOURCE).parts[0].removesuffix(".py")


def test_every_file_stands_on_a_floor() -> None:
    assert {floor_of(file) for file in SOURCE.rglob("*.py")} == set(FLOORS)


def test_imports_point_down() -> None:
    for file in SOURCE.rglob("*.py"):
        own = floor_of(file)
        for other in imports(file) - {"__init__"}:
            assert FLOORS[other] <= FLOORS[own], f"{file.relative_to(SOURCE)} imports {other}, which is above it"


def test_statistics_knows_no_torch_and_arrays_only() -> None:
    for file in (SOURCE / "statistics").rglob("*.py"):
        assert "torch" not in file.read_text(encoding="utf-8")


def test_help_imports_neither_torch_nor_numpy() -> None:
    script = (
        "import sys; from saccade import cli; from saccade.cli.parsing import SUMMARIES\n"
        "for words in ([], *([name, '--help'] for name in SUMMARIES)):\n"
        "    try: cli.main(words)\n"
        "    except SystemExit: pass\n"
        "assert not {'torch', 'numpy', 'numba', 'torchvision', 'PIL', 'sklearn'} & set(sys.modules), 'heavy imports'\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL)


SLIPS = [
    "train",
    "train digits --epochs -1",
    "train digits --optimizer.rule adm",
    "train digits --network resnet81",
    "train digits --group patient",
    "train nowhere",
    "train no/where",
    "doctor nowhere",
    *(f"{command} nowhere" for command in ("resume", "evaluate", "export", "sharpness")),
    "predict nowhere image.jpg",
    "race digits --tries 2",
    "race digits --rules sgd,adn",
    "race digits --lr 1",
    "ablate digits --only label_smoothing",
    "compare digits",
    "compare digits --b.lrr 1",
    "compare digits --b.seed 1 --margin 2",
    "crossval digits --folds 1",
    "crossval digits --search lrr=0.1,0.2",
    "bias-variance digits --vary foo=1,2",
    "learning-curve digits --seeds 1",
    "bag digits --members 1",
    "boost digits --members 1",
    "tune-rate nowhere",
    "tune-rate digits --from 1 --to 0.1",
    "tune-rate digits --out nowhere/page.html",
    "learning-curve digits --sizes 0,100",
    "train digits --weights nowhere.pt",
    "sharpness . --subsamples 1",
    "predict . nowhere.jpg",
    *(
        f"{command} digits --out src"
        for command in ("train", "race", "ablate", "crossval", "bag", "boost", "bias-variance")
    ),
    "learning-curve digits --out src",
    "compare digits --b.seed 1 --out src",
]


def test_slips_are_answered_without_torch() -> None:
    """To import it takes seconds, which somebody waits for to read one line."""
    script = (
        "import sys; from saccade import cli\n"
        f"for words in {SLIPS}:\n"
        "    assert cli.main(words.split()) == 2, words\n"
        "    assert not {'torch', 'torchvision', 'scipy', 'sklearn'} & set(sys.modules), words\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=SOURCE.parents[1])


def test_training_on_a_cpu_imports_no_compiler(tmp_path: Path) -> None:
    """Nor sympy, which torch's goes by: seconds of every start, and of every process of a study."""
    script = (
        "import sys, numpy, saccade\n"
        "images = numpy.arange(40 * 28 * 28, dtype=numpy.uint8).reshape(40, 28, 28)\n"
        "words = dict(network='lenet5', epochs=1, batch=8, plan={'device': 'cpu', 'precision': 'bf16'})\n"
        f"saccade.train((images, numpy.arange(40) % 2), out={str(tmp_path / 'run')!r}, **words)\n"
        "assert not {'torch._dynamo', 'torch._inductor', 'sympy', 'scipy.stats', 'scipy.optimize'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
