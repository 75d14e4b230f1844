"""What a call costs before anything is done: a server that answers a constant. The floor of `tests.bench.model_server`.

`python -m tests.bench.model_server_floor (grpc|direct) PORT`: by `grpc.server`, or by our own way on top of it.
"""

import sys
from concurrent.futures import ThreadPoolExecutor

import grpc

from serving.direct_method import DirectMethod
from tests.bench.model_server_callers import PREDICT

THREADS = 16  # calls at a time, as in the naive server
REPLY = bytes(120)  # as large as ten probabilities with their names


def main(way: str, port: str) -> None:
    server = grpc.server(ThreadPoolExecutor(THREADS))
    direct = None
    if way == "direct":
        direct = DirectMethod(server, PREDICT, lambda call: call.reply(REPLY), THREADS)
    else:
        handler = grpc.unary_unary_rpc_method_handler(lambda *_: REPLY)
        service, method = PREDICT[1:].split("/")
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    if direct:
        direct.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main(*sys.argv[1:])
