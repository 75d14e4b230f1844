"""`python -m serving predict FILE …`: asks a running gateway about files, and says the answers in words."""

import argparse
import http.client
import json
import math
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from serving.answer_text import in_full
from serving.client import Answer, Client, ProblemError, Tls
from serving.client_transport import bearer
from serving.instance_files import Instance, Source, instances_for, name_instances, read_file

DESCRIPTION = """\
Ask a running gateway about files: pictures (PNG, JPEG), JSON (an instance, several, or {"instances": [...]}) or CSV (a
line of feature names, then a line a row).

Exit status: 0 answered, 1 refused, 2 wrong arguments or files, 3 the gateway is away or cannot answer now.
"""
ANSWERED, REFUSED, MISUSED, AWAY = range(4)
# Refusals for now are followed this often before the person is told.
RETRIES = 3
# Sockets take no time without end.
MOST_SECONDS = 86400


class NoModel(ValueError):
    """It cannot be told which model is meant; the message lists them."""


class NoneOnOffer(Exception):
    """There is no model to ask now; a line of the message says of each why."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument(
        "--url",
        default="http://127.0.0.1:8080",
        help="http://, https://, grpc:// or grpcs:// and host:port (default: %(default)s)",
    )
    parser.add_argument("--model", help="its name (default: the one model on offer that takes such files)")
    parser.add_argument("--version", help="a number or a label (default: the newest on offer)")
    parser.add_argument("--top-k", type=int, metavar="K", help="how many of the most probable classes to show")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    parser.add_argument("--timeout", type=_seconds, default=30.0, metavar="S", help="seconds (default: %(default)s)")
    parser.add_argument("--api-key-file", type=Path, metavar="FILE", help="a file that holds the API key")
    parser.add_argument("--ca-file", metavar="FILE", help="PEM file of who may vouch for the gateway")
    parser.add_argument("--cert-file", metavar="FILE", help="PEM file of a certificate to show it")
    parser.add_argument("--key-file", metavar="FILE", help="PEM file of that certificate's key")


def run(arguments: argparse.Namespace) -> int:
    """Files → instances → gateway → words; the exit status."""
    try:
        sources = [read_file(path) for path in arguments.files]
        api_key = _read_key(arguments.api_key_file) if arguments.api_key_file else None
        tls = Tls(arguments.ca_file, arguments.cert_file, arguments.key_file)
        client = Client(arguments.url, arguments.timeout, retries=RETRIES, api_key=api_key, tls=tls)
    except (ValueError, OSError) as error:
        return _fail(str(error), MISUSED)
    with client:
        return _ask(client, sources, arguments)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= MOST_SECONDS:
        raise argparse.ArgumentTypeError(f"expected seconds above 0, at most {MOST_SECONDS}, got {text!r}")
    return seconds


def _read_key(file: Path) -> str:
    """The key; what else is in the file is not repeated, as it may be one."""
    try:
        key = file.read_text().strip()
        bearer(key)
    except ValueError as error:
        raise ValueError(f"--api-key-file: expected {file} to hold one line of printable ASCII characters") from error
    return key


def _ask(client: Client, sources: list[Source], arguments: argparse.Namespace) -> int:
    instances: list[Instance] = []
    try:
        model, instances = _choose(client, sources, arguments.model)
        values = [instance.value for instance in instances]
        answer = client.predict(model, values, version=arguments.version, top_k=arguments.top_k)
    except NoModel as error:
        return _fail(str(error), MISUSED)
    except NoneOnOffer as error:
        return _fail(str(error), AWAY)
    except ProblemError as error:
        later = error.retry_after_s is not None or error.status >= http.HTTPStatus.INTERNAL_SERVER_ERROR
        return _fail(_in_words(error, instances), AWAY if later else REFUSED)
    except (OSError, http.client.HTTPException) as error:
        return _fail(f"the gateway at {arguments.url} does not answer: {error}", AWAY)
    sys.stdout.write(_as_json(answer) if arguments.json else _as_text(answer, instances, arguments.top_k))
    return ANSWERED


def _choose(client: Client, sources: list[Source], model: str | None) -> tuple[str, list[Instance]]:
    """The model, and the files' instances for it."""
    if model is not None:  # where the files do not fit, the gateway says why
        return model, _all_for(client, model, sources) or [i for source in sources for i in name_instances(source)]
    models = client.models()["models"]
    offered: list[str] = [one["name"] for one in models if one["version"] is not None]
    if not offered:
        raise NoneOnOffer("\n".join(f"{one['name']}: {one['reason']}" for one in models))
    fitting = {name: found for name in offered if (found := _all_for(client, name, sources)) is not None}
    if len(fitting) != 1:
        those = f"{', '.join(fitting)} do" if fitting else "none does"
        raise NoModel(f"expected one model that takes {_names(sources)}; of {', '.join(offered)}, {those}; use --model")
    return next(iter(fitting.items()))


def _all_for(client: Client, model: str, sources: list[Source]) -> list[Instance] | None:
    contract = client.contract(model)
    instances: list[Instance] = []
    for source in sources:
        found = instances_for(contract, source)
        if found is None:
            return None
        instances += found
    return instances


def _names(sources: list[Source]) -> str:
    return ", ".join(str(source.path) for source in sources)


def _as_json(answer: Answer) -> str:
    return json.dumps(asdict(answer), ensure_ascii=False) + "\n"


def _as_text(answer: Answer, instances: Sequence[Instance], top_k: int | None) -> str:
    lines = []
    for instance, prediction in zip(instances, answer.predictions, strict=True):
        first, *further = in_full(prediction, top_k)
        lines += [f"{instance.name}: {first}", *further]
    return "\n".join([*lines, f"({answer.model} version {answer.version})"]) + "\n"


def _in_words(error: ProblemError, instances: Sequence[Instance]) -> str:
    """What the gateway refused, by the file and the field where it says which."""
    if not error.errors:
        return str(error.problem.get("detail") or error)
    return "\n".join(f"{_place(pointer, instances)}: {detail}" for pointer, detail in error.errors)


def _place(pointer: str, instances: Sequence[Instance]) -> str:
    match = re.fullmatch(r"/instances/(\d+)(/.*)?", pointer)
    if match is None or int(match[1]) >= len(instances):
        return pointer.replace("/top_k", "--top-k")
    field = (match[2] or "").removeprefix("/").replace("~1", "/").replace("~0", "~")
    name = instances[int(match[1])].name
    return f"{name}, {field}" if field else name


def _fail(words: str, status: int) -> int:
    sys.stderr.write("".join(f"python -m serving predict: {line}\n" for line in words.splitlines()))
    return status
