"""The training job: config → datasets → model → fit → calibrate → evaluate → gate → export → publish."""

import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from training.cli import PruneOptions, TrainOptions, parse
from training.config import TrainingConfig
from training.errors import PruneRefused, TrainingError
from training.tensorflow_log import quiet_tensorflow


def main(arguments: Sequence[str]) -> int:
    """Run the job; the exit code is 1 when something that a sentence can tell went wrong."""
    options = parse(arguments)
    try:
        if isinstance(options, PruneOptions):
            _prune(options)
        else:
            for name, config in options.configs.items():
                _train_if_wanted(name, config, options)
    except TrainingError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:  # a full disk, a folder that may not be written: it names the file
        print(f"the store or the data folder: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130  # as shells have it: 128 + SIGINT
    return 0


def _train_if_wanted(name: str, config: TrainingConfig, options: TrainOptions) -> None:
    from training.store import versions

    published = list(versions(options.folders.store / name))
    if options.if_missing and published:
        print(f"{name}: version {published[-1]} is published; nothing to train")
    else:
        train(name, config, options)


def train(name: str, config: TrainingConfig, options: TrainOptions) -> int:
    """Train one model and publish it; return the version's number.

    Raises:
        TrainingError: no data, no convergence, not good enough, or not what it should be; nothing is published then.
    """
    with quiet_tensorflow():
        from training.calibrate import calibrate
        from training.describe import describe
        from training.documents import documents
        from training.event_files import EventFiles, event_folder
        from training.export import export
        from training.fit import fit, make_reproducible
        from training.models import build_model, predict
        from training.predecessor import compare_with_published
        from training.regressors import with_inputs_for
        from training.verify import verify
    from training.datasets import load_dataset
    from training.evaluate import evaluate
    from training.findings import find
    from training.gate import check_gate, check_not_worse
    from training.leakage import check_apart
    from training.store import WAITING, publish
    from training.trained import TrainedModel

    started_at = time.monotonic()
    dataset = load_dataset(
        name,
        options.folders.data,
        config.validation_share,
        options.seed,
        report=print,
        calibration_share=config.calibration_share,
    )
    print(
        f"{name}: {len(dataset.train)} rows to fit, {len(dataset.validation)} to validate, "
        f"{len(dataset.calibration)} to calibrate, from {dataset.source}"
    )

    dataset = with_inputs_for(config, dataset)
    check_apart(dataset)
    make_reproducible(options.seed)
    model = build_model(config, dataset)
    watching = [EventFiles(event_folder(options.tensorboard, name))] if options.tensorboard else []
    history = fit(model, dataset, config, callbacks=watching)
    if len(dataset.calibration):
        model, dataset = calibrate(model, dataset, config.level)

    answers = predict(model, dataset, dataset.test, "evaluating")
    evaluation = evaluate(dataset, answers)
    figures = ", ".join(f"{metric} {value:.4f}" for metric, value in evaluation.metrics.items())
    print(f"{name}: {figures} on {evaluation.rows} test rows")
    check_gate(name, evaluation, config.gate)
    contract = describe(model, dataset, config, seed=options.seed, evaluation=evaluation, now=datetime.now(UTC))

    published = options.folders.store / name

    def write(folder: Path) -> None:
        # Under the store's lock: nobody can publish between this comparison and the version that passed it.
        compared = compare_with_published(published, dataset, answers[dataset.output.tensor], report=print)
        if compared:
            check_not_worse(name, compared, config.margin)
        findings = find(dataset, answers, evaluation, compared)
        export(model, contract, folder, documents(TrainedModel(contract, dataset, history, answers, findings)))

    version = publish(
        published,
        write=write,
        verify=verify,
        on_step=lambda step: print(f"{name}: waiting for another publisher") if step == WAITING else None,
    )
    seconds = time.monotonic() - started_at
    print(f"{name}: version {version} published to {published / str(version)} ({seconds:.0f} s)")
    return version


def _prune(options: PruneOptions) -> None:
    from training.prune import prune, used_by_server
    from training.store import versions

    url = options.model_server
    present = sorted(path.name for path in options.store.glob("*") if versions(path))
    if unknown := set(options.models) - set(present):
        raise PruneRefused(f"{options.store} has no versions of {', '.join(sorted(unknown))}")
    for name in options.models or present:
        removed, kept = prune(
            options.store / name,
            options.keep,
            options.protect.get(name, set()),
            in_use=lambda model: used_by_server(url, model) if url else set(),
            dry_run=options.dry_run,
        )
        verb = "would remove" if options.dry_run else "removed"
        print(f"{name}: {verb} {_list(removed)}; kept {_list(kept)}")


def _list(numbers: set[int]) -> str:
    return ", ".join(str(number) for number in sorted(numbers)) or "none"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
