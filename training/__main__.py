"""The training job: config → datasets → model → fit → calibrate → evaluate → gate → export → publish."""

import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from training.cli import PruneOptions, TrainOptions, parse
from training.config import TrainingConfig
from training.errors import PruneRefused, TrainingError, WorkerLost
from training.tensorflow_log import quiet_tensorflow

if TYPE_CHECKING:  # TensorFlow would slow --help down
    from training.datasets import Dataset
    from training.models import Model
    from training.strategy import Strategy


def main(arguments: Sequence[str]) -> int:
    """Run the job; the exit code is 1 when something that a sentence can tell went wrong, of whichever model."""
    options = parse(arguments)
    try:
        if isinstance(options, PruneOptions):
            _prune(options)
        else:
            _train_all(options)
    except (TrainingError, OSError) as error:
        print(_in_words(error), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130  # as shells have it: 128 + SIGINT
    return 0


def _train_all(options: TrainOptions) -> None:
    """Each model for itself: one that is not published keeps no other from being trained.

    Raises:
        TrainingError: says of each model that was not published why; or, at once, that the other workers are lost.
    """
    reasons: list[str] = []
    for number, (name, config) in enumerate(options.configs.items(), start=1):
        try:
            _train_if_wanted(name, config, options)
        except WorkerLost:
            raise
        except (TrainingError, OSError) as error:
            reasons.append(_in_words(error))
            if number < len(options.configs):  # the end is far
                print(reasons[-1], flush=True)
    if reasons:
        raise TrainingError("\n".join(reasons))


def _in_words(error: TrainingError | OSError) -> str:
    """An OSError (a full disk, a folder that may not be written) names the file itself."""
    return f"the store or the data folder: {error}" if isinstance(error, OSError) else str(error)


def _train_if_wanted(name: str, config: TrainingConfig, options: TrainOptions) -> None:
    from training.stores import model_store

    published = model_store(options.folders.store, name).versions()
    if options.if_missing and published:
        print(f"{name}: version {published[-1]} is published; nothing to train")
    else:
        train(name, config, options)


def train(name: str, config: TrainingConfig, options: TrainOptions) -> None:
    """Train one model and publish it.

    Raises:
        TrainingError: no data, no convergence, not good enough, or not what it should be; nothing is published then.
    """
    with quiet_tensorflow():
        from training.calibrate import calibrate
        from training.checkpoint import checkpoint_path
        from training.strategy import strategy_named

    started_at = time.monotonic()
    strategy = strategy_named(options.strategy)
    dataset = _load(name, config, options)
    model, origin = _begun(dataset, config, options, strategy)
    workers = strategy.share.workers
    checkpoint = checkpoint_path(options.folders.runs, dataset, config, options.seed, workers, begins_with=origin)
    history = _fit(model, dataset, config, options, strategy=strategy, checkpoint=checkpoint)
    if strategy.share.worker:
        print(f"{name}: worker {strategy.share.worker} is done; worker 0 evaluates and publishes")
        return
    if len(dataset.calibration):
        model, dataset = calibrate(model, dataset, config.level, config.confidence)
    place = _evaluate_and_publish(model, dataset, history, config, options)
    checkpoint.unlink(missing_ok=True)
    print(f"{name}: {place} ({time.monotonic() - started_at:.0f} s)")


def _load(name: str, config: TrainingConfig, options: TrainOptions) -> "Dataset":
    from training.calibrate import check_enough_rows
    from training.datasets import load_dataset
    from training.leakage import check_apart
    from training.regressors import with_inputs_for

    shares = {"validation_share": config.validation_share, "calibration_share": config.calibration_share}
    dataset = load_dataset(name, options.folders.data, seed=options.seed, report=print, **shares)
    print(
        f"{name}: {len(dataset.train)} rows to fit, {len(dataset.validation)} to validate, "
        f"{len(dataset.calibration)} to calibrate, from {dataset.source}"
    )
    if config.calibration_share:
        check_enough_rows(dataset, config.level, config.confidence)
    dataset = with_inputs_for(config, dataset)
    check_apart(dataset)
    return dataset


def _begun(
    dataset: "Dataset", config: TrainingConfig, options: TrainOptions, strategy: "Strategy"
) -> tuple["Model", str]:
    """The model that training begins with, and the digest of the version that it comes from: none, as a rule."""
    from training.fit import make_reproducible
    from training.models import build_model
    from training.stores import model_store
    from training.warm_start import warm_start

    make_reproducible(options.seed)
    with strategy.scope():
        model = build_model(config, dataset)
    if not config.warm_start:
        return model, ""
    with model_store(options.folders.store, dataset.name).at_hand(config.warm_start) as version:
        begun = warm_start(model, version, dataset, config, options.seed)
    print(
        f"{dataset.name}: begins with {begun.fitting} of its {begun.weights} weights from version {config.warm_start}"
    )
    return model, begun.digest


def _fit(
    model: "Model",
    dataset: "Dataset",
    config: TrainingConfig,
    options: TrainOptions,
    *,
    strategy: "Strategy",
    checkpoint: Path,
) -> Mapping[str, list[float]]:
    from training.event_files import EventFiles, event_folder
    from training.fit import fit

    if checkpoint.exists():
        print(f"{dataset.name}: goes on from {checkpoint}")
    watching = [EventFiles(event_folder(options.tensorboard, dataset.name))] if options.tensorboard else []
    return fit(model, dataset, config, seed=options.seed, strategy=strategy, checkpoint=checkpoint, callbacks=watching)


def _evaluate_and_publish(
    model: "Model",
    dataset: "Dataset",
    history: Mapping[str, list[float]],
    config: TrainingConfig,
    options: TrainOptions,
) -> str:
    """What was published and where, in words."""
    from training.describe import describe
    from training.documents import SERVED, documents
    from training.evaluate import evaluate
    from training.export import export
    from training.findings import find
    from training.gate import check_gate, check_not_worse
    from training.models import predict
    from training.predecessor import compare_with_published
    from training.store import WAITING
    from training.stores import model_store
    from training.trained import TrainedModel
    from training.verify import verify

    name = dataset.name
    answers = predict(model, dataset, dataset.test, "evaluating")
    evaluation = evaluate(dataset, answers)
    figures = ", ".join(f"{metric} {value:.4f}" for metric, value in evaluation.metrics.items())
    print(f"{name}: {figures} on {evaluation.rows} test rows")
    check_gate(name, evaluation, config.gate)
    contract = describe(
        model,
        dataset,
        config,
        seed=options.seed,
        evaluation=evaluation,
        now=datetime.now(UTC),
        documents=SERVED.values(),
    )
    store = model_store(options.folders.store, name)

    def write(folder: Path) -> None:
        # Under a folder store's lock nobody can publish between this comparison and the version that passed it.
        compared = compare_with_published(store, dataset, answers[dataset.output.tensor], report=print)
        if compared:
            check_not_worse(name, compared, config.margin)
        findings = find(dataset, answers, evaluation, compared)
        texts = documents(TrainedModel(contract, dataset, history, answers, findings))
        export(model, contract, folder, texts, mc_samples=config.mc_samples)

    version = store.publish(
        write=write,
        verify=verify,
        on_step=lambda step: print(f"{name}: waiting for another publisher") if step == WAITING else None,
    )
    return f"version {version} published to {store.where(version)}"


def _prune(options: PruneOptions) -> None:
    from training.prune import check_protected, prune, used_by_server
    from training.stores import is_store, model_store, models_in

    url = options.model_server
    if not is_store(options.store):
        raise PruneRefused(f"there is no store {options.store}")
    present = models_in(options.store)
    if unknown := set(options.models) - set(present):
        raise PruneRefused(f"{options.store} has no versions of {', '.join(sorted(unknown))}")
    check_protected(options.store, options.protect)
    for name in options.models or present:
        removed, kept = prune(
            model_store(options.store, name),
            options.keep,
            options.protect.get(name, set()),
            in_use=lambda model=name: used_by_server(url, model) if url else set(),  # type: ignore[misc]
            dry_run=options.dry_run,
        )
        verb = "would remove" if options.dry_run else "removed"
        print(f"{name}: {verb} {_list(removed)}; kept {_list(kept)}")


def _list(numbers: set[int]) -> str:
    return ", ".join(str(number) for number in sorted(numbers)) or "none"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
