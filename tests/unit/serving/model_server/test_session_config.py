"""The flags that speak of sessions, and the ConfigProto they make."""

from pathlib import Path

import pytest
from tensorflow.core.protobuf import rewriter_config_pb2

from serving.model_server.flags import Flags
from serving.model_server.session_config import session_config
from serving.model_server.status import StatusError


@pytest.mark.parametrize(
    ("flags", "threads"),
    [
        (Flags(), (0, 0)),
        (Flags(tensorflow_session_parallelism=3), (3, 3)),
        (Flags(tensorflow_intra_op_parallelism=2), (2, 0)),
        (Flags(tensorflow_inter_op_parallelism=4, tensorflow_session_parallelism=3), (0, 4)),
    ],
)
def test_threads(flags: Flags, threads: tuple[int, int]) -> None:
    config = session_config(flags)
    assert (config.intra_op_parallelism_threads, config.inter_op_parallelism_threads) == threads


def test_all_three_thread_flags_contradict_each_other() -> None:
    flags = Flags(
        tensorflow_session_parallelism=1, tensorflow_intra_op_parallelism=1, tensorflow_inter_op_parallelism=1
    )
    with pytest.raises(StatusError, match="You cannot configure all"):
        session_config(flags)


def test_the_file_is_read_and_the_flags_win(tmp_path: Path) -> None:
    (tmp_path / "session").write_text("intra_op_parallelism_threads: 7 allow_soft_placement: true")
    config = session_config(
        Flags(tensorflow_session_config_file=str(tmp_path / "session"), per_process_gpu_memory_fraction=0.5)
    )
    assert (config.intra_op_parallelism_threads, config.allow_soft_placement) == (0, True)
    assert config.gpu_options.per_process_gpu_memory_fraction == 0.5


def test_threads_do_not_spin_unless_a_file_decides(tmp_path: Path) -> None:
    assert session_config(Flags()).experimental.disable_thread_spinning
    (tmp_path / "session").write_text("experimental { use_numa_affinity: true }")
    config = session_config(Flags(tensorflow_session_config_file=str(tmp_path / "session")))
    assert not config.experimental.disable_thread_spinning


@pytest.mark.parametrize(("mode", "is_on"), [("bfloat16", True), ("", False), ("float8", False)])
def test_mixed_precision(mode: str, is_on: bool) -> None:
    rewrites = session_config(Flags(mixed_precision=mode)).graph_options.rewrite_options
    assert (rewrites.auto_mixed_precision_onednn_bfloat16 == rewriter_config_pb2.RewriterConfig.ON) is is_on
