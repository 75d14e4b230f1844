"""Fashion-MNIST's raw arrays: 60,000 and 10,000 images of 28x28 grey values 0..255, labels 0..9, official order."""

import gzip
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.notes import Notes
from training.sources import Arrays, Report, Source, SourceUnavailable, keras_download

# Over the four arrays in the official order, the same for every source.
DIGEST = "sha256:b94984a68ef809215e20f4fb2b16022dbb25c91648201e84b3f85fad6a68669c"

# In the order of the labels: https://github.com/zalandoresearch/fashion-mnist#labels
CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

NOTES = Notes(
    intended_use=(
        "Learning and teaching; benchmarks of classifiers; trying out how a served model behaves.",
        "Not for photographs: it was made for 28x28 grey pictures of single pieces, centred, light on black, upright. "
        "It must not decide anything about a person.",
    ),
    data=(
        "Fashion-MNIST (Xiao, Rasul and Vollgraf 2017, arXiv 1708.07747): 70,000 product pictures of the shop Zalando, "
        "scaled down to 28x28 grey pixels, in ten classes of 7,000. MIT licence.",
        "No two of the 70,000 pictures are the same; near-copies across the official split were not looked for. Labels "
        "come from the shop's own catalogue: the report's worst mistakes show some that a person would doubt.",
    ),
    ethics=(
        "The pictures show clothes, not people. The classes are one European shop's of 2017: what people wear "
        "elsewhere has no class here, and is put into one of the ten all the same.",
    ),
)

IDX_FILES = {
    "train_images": "train-images-idx3-ubyte.gz",
    "train_labels": "train-labels-idx1-ubyte.gz",
    "test_images": "t10k-images-idx3-ubyte.gz",
    "test_labels": "t10k-labels-idx1-ubyte.gz",
}
_DEBIAN_PACKAGE = "dataset-fashion-mnist"
_DEBIAN_FOLDER = Path("usr/share/datasets/fashion-mnist")


def sources(data_dir: Path, report: Report) -> tuple[Source, ...]:
    """What is on this machine first; then Keras's download; then Debian's, kept in the data folder."""
    folder = data_dir / "fashion-mnist"
    return (
        Source("idx files in the data folder", lambda: idx_folder(folder)),
        Source(f"Debian's package {_DEBIAN_PACKAGE}, installed", lambda: idx_folder(Path("/") / _DEBIAN_FOLDER)),
        Source("keras.datasets.fashion_mnist", keras_arrays),
        Source(f"Debian's package {_DEBIAN_PACKAGE}", lambda: debian_arrays(folder, report)),
    )


def advice(data_dir: Path) -> str:
    """What a user can do when no source has the data."""
    return (
        f"Put the files {', '.join(IDX_FILES.values())} into {data_dir / 'fashion-mnist'} "
        "(they are at https://github.com/zalandoresearch/fashion-mnist), or make the network reachable."
    )


def idx_folder(folder: Path) -> Arrays:
    """The arrays of the four idx files in a folder."""
    if not folder.is_dir():
        raise SourceUnavailable(f"{folder} does not exist")
    if missing := [name for name in IDX_FILES.values() if not (folder / name).is_file()]:
        raise SourceUnavailable(f"{folder} lacks {', '.join(missing)}")
    return {key: _read_idx(folder / name) for key, name in IDX_FILES.items()}


def _read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """The idx format: http://yann.lecun.com/exdb/mnist/."""
    try:
        raw = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, ValueError) as error:
        raise SourceUnavailable(f"{path} cannot be read: {error}") from error
    # Two zero bytes, 8 for unsigned bytes, the number of dimensions; each dimension, big-endian; then the values.
    if raw[:3] != b"\x00\x00\x08" or len(raw) < 4 + 4 * raw[3]:
        raise SourceUnavailable(f"{path} is not an idx file of unsigned bytes")
    shape = tuple(int(size) for size in np.frombuffer(raw, ">u4", count=raw[3], offset=4))
    values = np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3])
    if values.size != np.prod(shape):
        raise SourceUnavailable(f"{path} announces {shape} and holds {values.size} values")
    return values.reshape(shape)


def keras_arrays() -> Arrays:
    """The arrays of keras.datasets.fashion_mnist."""
    with keras_download():
        import keras

        (train_images, train_labels), (test_images, test_labels) = keras.datasets.fashion_mnist.load_data()
    return dict(zip(IDX_FILES, (train_images, train_labels, test_images, test_labels), strict=True))


def debian_arrays(folder: Path, report: Report) -> Arrays:
    """The arrays of Debian's package, whose files are kept in the folder. Needs no root, changes nothing else."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise SourceUnavailable("this machine has no apt-get and dpkg-deb")
    report(f"fashion: downloading Debian's package {_DEBIAN_PACKAGE} (31 MB)")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".download-", dir=folder.parent) as scratch:
        unpacked = _unpack_debian_package(Path(scratch)) / _DEBIAN_FOLDER
        arrays = idx_folder(unpacked)
        if not folder.exists():
            unpacked.rename(folder)  # whole or not at all
    return arrays


def _unpack_debian_package(scratch: Path) -> Path:
    apt = ("apt-get", "-c", str(_apt_config(scratch)))
    # An update that fails for one repository of several may still bring what we need: the download judges.
    update = _run((*apt, "update"), scratch)
    download = _run((*apt, "download", _DEBIAN_PACKAGE), scratch)
    packages = list(scratch.glob("*.deb"))
    if not packages:
        raise SourceUnavailable(f"apt-get could not download it: {_last_line(download) or _last_line(update)}")
    unpack = _run(("dpkg-deb", "-x", str(packages[0]), str(scratch / "unpacked")), scratch)
    if unpack.returncode:
        raise SourceUnavailable(f"dpkg-deb could not unpack it: {_last_line(unpack)}")
    return scratch / "unpacked"


def _apt_config(scratch: Path) -> Path:
    """APT's lists and cache in the scratch folder, so that the system's own stay as they are."""
    for name in ("lists/partial", "cache/archives/partial"):
        (scratch / name).mkdir(parents=True)
    config = scratch / "apt.conf"
    config.write_text(
        f'Dir::State::Lists "{scratch}/lists";\n'
        f'Dir::Cache "{scratch}/cache";\n'
        'APT::Sandbox::User "root";\n'  # APT's own user may not write here, and APT would warn of it
        "#clear APT::Update::Post-Invoke;\n"  # what the system does after an update is not for our lists
        "#clear APT::Update::Post-Invoke-Success;\n"
    )
    return config


def _run(command: tuple[str, ...], folder: Path) -> subprocess.CompletedProcess[str]:
    # In English, for the line that we may quote.
    environment = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def _last_line(process: subprocess.CompletedProcess[str]) -> str:
    lines = process.stderr.strip().splitlines()
    return lines[-1] if lines else ""
