"""Why a run ends without a new version: each is one sentence for the user and exit code 1."""


class TrainingError(Exception):
    """The root: the job prints the message and stops; the store is as it was."""


class ConfigError(TrainingError):
    """A setting that does not exist or has no such value; the message names it."""


class DatasetUnavailable(TrainingError):
    """No source gave the right data."""


class TrainingDiverged(TrainingError):
    """The loss is no longer a number."""


class CheckpointUnreadable(TrainingError):
    """A run cannot go on where it was stopped."""


class WorkerLost(TrainingError):
    """Another worker no longer answers."""


class GateNotMet(TrainingError):
    """The model is not good enough to be published."""


class LeakingSplit(TrainingError):
    """Rows that judge the model are among those that made it."""


class CannotWrite(TrainingError):
    """The store takes no more, or nothing at all."""


class BadArtefact(TrainingError):
    """An exported version does not do what its contract says."""


class PruneRefused(TrainingError):
    """It cannot be told which versions are in use, so none was removed."""
