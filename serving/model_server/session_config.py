"""The ConfigProto of the sessions, from the flags that speak of it. After Server::BuildAndStart."""

import logging

from tensorflow.core.protobuf import config_pb2, rewriter_config_pb2

from serving.model_server.flags import Flags
from serving.model_server.model_config import read_text_proto
from serving.model_server.status import invalid_argument

_logger = logging.getLogger(__name__)


def session_config(flags: Flags) -> config_pb2.ConfigProto:
    """How sessions use threads and GPUs; the flags win over --tensorflow_session_config_file."""
    intra, inter = flags.tensorflow_intra_op_parallelism, flags.tensorflow_inter_op_parallelism
    both = flags.tensorflow_session_parallelism
    if intra > 0 and inter > 0 and both > 0:
        raise invalid_argument(
            "Either configure server_options.tensorflow_session_parallelism or "
            "(server_options.tensorflow_intra_op_parallelism, server_options.tensorflow_inter_op_parallelism) "
            "separately. You cannot configure all."
        )
    config = config_pb2.ConfigProto()
    if flags.tensorflow_session_config_file:
        read_text_proto(flags.tensorflow_session_config_file, config)
    else:
        # A thread that waits for its part of an operation sleeps instead of spinning: as quick, measured, for half the
        # processor time, which other calls can use.
        config.experimental.disable_thread_spinning = True
    config.gpu_options.per_process_gpu_memory_fraction = flags.per_process_gpu_memory_fraction
    if intra > 0 or inter > 0:
        config.intra_op_parallelism_threads, config.inter_op_parallelism_threads = intra, inter
    else:
        config.intra_op_parallelism_threads = config.inter_op_parallelism_threads = both
    _set_mixed_precision(config, flags.mixed_precision)
    return config


def _set_mixed_precision(config: config_pb2.ConfigProto, mode: str) -> None:
    """After SavedModelBundleFactory::InternalCreateSavedModelBundle, which takes an unknown mode for a warning."""
    if mode == "bfloat16":
        _logger.info("Running inference with bfloat16 auto mixed precision")
        rewrites = config.graph_options.rewrite_options
        rewrites.auto_mixed_precision_onednn_bfloat16 = rewriter_config_pb2.RewriterConfig.ON
    elif mode:
        _logger.warning("%s auto mixed precision is not supported. Valid option: bfloat16", mode)
