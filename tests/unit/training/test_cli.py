import subprocess
import sys
from pathlib import Path

import pytest

from training.cli import PruneOptions, TrainOptions, parse
from training.config import DEFAULT_SEED
from training.presets import PRESETS


def test_reads_a_training_command() -> None:
    words = "fashion housing --preset quick --seed 7 --set housing.epochs=3 --if-missing"
    words += " --store /s --data-dir /d --tensorboard /t"
    options = parse(words.split())
    assert isinstance(options, TrainOptions)
    assert options.configs["fashion"] == PRESETS["fashion"]["quick"]
    assert options.configs["housing"].epochs == 3
    assert (options.seed, options.if_missing) == (7, True)
    assert (options.folders.store, options.folders.data) == (Path("/s"), Path("/d"))
    assert options.tensorboard == Path("/t")


def test_the_default_is_the_default_preset_and_seed() -> None:
    options = parse(["fashion"])
    assert isinstance(options, TrainOptions)
    assert options.configs == {"fashion": PRESETS["fashion"]["default"]}
    assert options.seed == DEFAULT_SEED


def test_reads_a_prune_command() -> None:
    words = "prune fashion --keep 2 --protect fashion/3 --protect fashion/5 --model-server http://h:8501 --store /s"
    assert parse(words.split()) == PruneOptions(
        store=Path("/s"),
        models=("fashion",),
        keep=2,
        protect={"fashion": {3, 5}},
        model_server="http://h:8501",
        dry_run=False,
    )


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("", "MODEL"),
        ("shoes", "'shoes'"),
        ("fashion --preset fast", "'fast'"),
        ("fashion --set epochz=3", "epochz"),
        ("fashion --seed x", "expected a whole number from 0 to 4294967295, got 'x'"),
        ("fashion --seed -1", "got '-1'"),
        ("fashion --seed 4294967296", "got '4294967296'"),
        ("fashion --set clip_norm=1 --set clip_value=1", "clip_norm 1.0 and clip_value 1.0: one of them must be 0"),
        ("fashion --store=", "expected a folder or a URL, got nothing"),
        ("prune --keep 1 --store=", "expected a folder or a URL, got nothing"),
        ("prune", "--keep"),
        ("prune --keep 0", "at least one version must stay"),
        ("prune --keep 1 --protect fashion", "expected MODEL/VERSION"),
        ("prune --keep 1 --model-server localhost:8501", "expected a URL"),
    ],
)
def test_exits_2_and_names_what_makes_no_sense(words: str, named: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse(words.split())
    assert stopped.value.code == 2
    assert named in capsys.readouterr().err


def test_help_needs_no_tensorflow() -> None:
    code = (
        "import runpy, sys; sys.argv = ['training', '--help']\ntry: runpy.run_module('training', run_name='__main__')\n"
    )
    code += "except SystemExit: print('tensorflow' in sys.modules, 'keras' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "python -m training prune" in done.stdout
    assert done.stdout.endswith("False False False\n")
