"""The command line of the job: words → frozen options. Imports nothing heavy, so that --help is quick."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from training.config import DEFAULT_SEED, LARGEST_SEED, Folders, TrainingConfig, has_cluster, store_root
from training.errors import ConfigError
from training.presets import PRESET_NAMES, PRESETS, resolve

_TRAIN_HELP = """\
Train models and publish them to the model store, where a model server picks them up.

  python -m training fashion housing                    both models, with all care
  python -m training fashion --preset quick             in under a minute
  python -m training fashion --set epochs=3             any field of the configuration
  python -m training fashion --preset deep_mlp          the recipe of one architecture
  python -m training prune --keep 2                     remove old versions (prune --help)

The story: config → datasets → model → fit → calibrate → evaluate → gate → export → publish. A model is published only
if its test result reaches the preset's gate, and if it is not worse than the published version on the same test rows,
beyond what chance explains or the margin allows. Else the job says by how much it failed and exits 1; the store stays
as it was, and the other models are trained all the same. A published version holds, in assets.extra/, report.html,
model_card.md and evaluation.json. A run that was stopped goes on where it was, to the same result, when the same
command is given again.
"""
_PRUNE_HELP = """\
Remove old versions from the model store. A version in use is never removed; "in use" is

  - the newest N (--keep): what TF Serving serves under its policy latest-N, or is about to;
  - what --protect names, as fashion/3: pinned or labelled versions; if one is not there, nothing is removed;
  - with --model-server, whatever that server reports as anything but END. If it does not answer, nothing
    is removed. Without it, a server that failed to load the newest N could still serve an older version.

A version disappears in one step. Its number is never given out again.
"""


@dataclass(frozen=True)
class TrainOptions:
    """What `python -m training MODEL…` was told."""

    configs: Mapping[str, TrainingConfig]  # by model name, in the order to train
    seed: int
    if_missing: bool
    folders: Folders
    tensorboard: Path | None  # where event files go; None: nowhere
    strategy: str = "one"


@dataclass(frozen=True)
class PruneOptions:
    """What `python -m training prune` was told."""

    store: Path | str
    models: tuple[str, ...]  # empty: all in the store
    keep: int
    protect: Mapping[str, set[int]]  # model name -> versions
    model_server: str | None  # URL of its REST port
    dry_run: bool


def parse(arguments: Sequence[str]) -> TrainOptions | PruneOptions:
    """Read the command line; exits 2, naming what is wrong, where it makes no sense."""
    if arguments[:1] == ["prune"]:
        return _parse_prune(arguments[1:])
    return _parse_train(arguments)


def _parse_train(arguments: Sequence[str]) -> TrainOptions:
    parser = _parser("python -m training", _TRAIN_HELP)
    fields = ", ".join(TrainingConfig.__dataclass_fields__)
    parser.add_argument("models", nargs="+", choices=[*PRESETS], metavar="MODEL", help=f"one of {', '.join(PRESETS)}")
    others = "; ".join(f"{model}: {', '.join(recipes.keys() - PRESET_NAMES)}" for model, recipes in PRESETS.items())
    parser.add_argument(
        "--preset",
        default="default",
        metavar="NAME",
        help=f"{', '.join(PRESET_NAMES)}, or an architecture's recipe ({others}); default: default",
    )
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help=f"override a field, of all models or (fashion.epochs=3) of one; fields: {fields}",
    )
    parser.add_argument("--seed", type=_seed, default=DEFAULT_SEED, help=f"of all randomness (default: {DEFAULT_SEED})")
    parser.add_argument(
        "--strategy",
        choices=("one", "mirrored", "multi-worker"),
        default="one",
        help="one device; all GPUs of this machine; several processes, as TF_CONFIG says (default: one)",
    )
    parser.add_argument(
        "--runs-dir",
        type=Path,
        help="where unfinished runs keep their checkpoints; workers share it (ATELIER_RUNS_DIR; default: ./runs)",
    )
    parser.add_argument("--if-missing", action="store_true", help="skip models that have a published version")
    parser.add_argument(
        "--data-dir", type=Path, help="where downloads are kept (ATELIER_DATA_DIR; default: ~/.cache/atelier)"
    )
    parser.add_argument(
        "--tensorboard", type=Path, metavar="DIR", help="write each run's curves there, for `tensorboard --logdir DIR`"
    )
    _add_store(parser)
    options = parser.parse_args(arguments)
    folders = Folders.from_env()
    try:
        configs = {name: resolve(name, options.preset, options.settings) for name in dict.fromkeys(options.models)}
    except ConfigError as error:
        parser.error(str(error))
    if options.strategy == "multi-worker" and not has_cluster():
        parser.error("--strategy multi-worker needs TF_CONFIG: the addresses of all workers, and which of them this is")
    return TrainOptions(
        configs=configs,
        seed=options.seed,
        if_missing=options.if_missing,
        tensorboard=options.tensorboard,
        folders=Folders(
            store=options.store or folders.store,
            data=options.data_dir or folders.data,
            runs=options.runs_dir or folders.runs,
        ),
        strategy=options.strategy,
    )


def _parse_prune(arguments: Sequence[str]) -> PruneOptions:
    parser = _parser("python -m training prune", _PRUNE_HELP)
    parser.add_argument("models", nargs="*", metavar="MODEL", help="default: all in the store")
    parser.add_argument("--keep", type=_at_least_one, required=True, metavar="N", help="how many of the newest stay")
    parser.add_argument(
        "--protect", type=_model_version, action="append", default=[], metavar="MODEL/N", help="keep this one too"
    )
    parser.add_argument("--model-server", type=_url, metavar="URL", help="its REST port, as http://localhost:8501")
    parser.add_argument("--dry-run", action="store_true", help="say what would go, remove nothing")
    _add_store(parser)
    options = parser.parse_args(arguments)
    protect: dict[str, set[int]] = {}
    for model, version in options.protect:
        protect.setdefault(model, set()).add(version)
    return PruneOptions(
        store=options.store or Folders.from_env().store,
        models=tuple(options.models),
        keep=options.keep,
        protect=protect,
        model_server=options.model_server,
        dry_run=options.dry_run,
    )


def _parser(program: str, description: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog=program, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def _add_store(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--store",
        type=_store,
        help="model store: a folder, or a URL as gs://bucket/models (ATELIER_STORE; default: ./models)",
    )


def _store(text: str) -> Path | str:
    try:
        return store_root(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _seed(text: str) -> int:
    if not (text.isdecimal() and int(text) <= LARGEST_SEED):
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 to {LARGEST_SEED}, got {text!r}")
    return int(text)


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least one version must stay")
    return number


def _model_version(text: str) -> tuple[str, int]:
    model, slash, version = text.rpartition("/")
    if not (slash and model and version.isdecimal()):
        raise argparse.ArgumentTypeError(f"expected MODEL/VERSION, as fashion/3, got {text!r}")
    return model, int(version)


def _url(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError(f"expected a URL, as http://localhost:8501, got {text!r}")
    return text
