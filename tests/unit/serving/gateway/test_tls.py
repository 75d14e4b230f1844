import ssl
import subprocess

import pytest

from serving.environment import SettingError
from serving.gateway import tls
from serving.gateway.settings import Settings
from tests.certificates import Authority


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def authority(folder):
    return Authority(folder)


@pytest.fixture(scope="module")
def pair(authority):
    return authority.vouch("door")


def settings(**files) -> Settings:
    return Settings(models=("houses",), **{f"{name}_file": str(file) for name, file in files.items()})


def test_without_files_the_door_speaks_in_the_clear():
    tls.check(settings())
    assert tls.http_context(settings()) is None


def test_nothing_older_than_tls_1_2_is_spoken(authority, pair):
    context = tls.http_context(settings(tls_cert=pair.cert, tls_key=pair.key, tls_client_ca=authority.cert))

    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_OPTIONAL


@pytest.mark.parametrize("prefix", ["tls", "model_server"])
def test_a_file_that_cannot_be_used_is_named_by_its_setting(prefix, folder, authority, pair):
    text = folder / "text"
    text.write_text("no PEM")
    encrypted = folder / "encrypted.key"
    command = f"openssl pkey -in {pair.key} -aes256 -passout pass:x -out {encrypted}"
    subprocess.run(command.split(), check=True, capture_output=True)
    ca = f"{prefix}_client_ca" if prefix == "tls" else f"{prefix}_ca"
    other = authority.vouch("other")

    for setting, file, words in [
        (f"{prefix}_cert", folder / "absent", "No such file"),
        (f"{prefix}_cert", text, "expected a PEM certificate"),
        (f"{prefix}_key", folder / "absent", "No such file"),
        (f"{prefix}_key", text, "expected the PEM key, not encrypted, of the certificate in"),
        (f"{prefix}_key", other.key, "expected the PEM key, not encrypted, of the certificate in"),
        (f"{prefix}_key", encrypted, "expected the PEM key, not encrypted, of the certificate in"),
        (ca, folder, "Is a directory|cannot be read|expected"),
        (ca, text, "expected PEM certificates"),
    ]:
        files = {f"{prefix}_cert": pair.cert, f"{prefix}_key": pair.key, ca: authority.cert, setting: file}
        with pytest.raises(SettingError, match=f"^ATELIER_{setting.upper()}_FILE: .*({words})"):
            tls.check(settings(**files))


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ("tls_cert", "tls_key"),
        ("tls_key", "tls_cert"),
        ("tls_client_ca", "tls_cert"),
        ("model_server_key", "model_server_cert"),
    ],
)
def test_half_of_a_pair_names_the_other_half(given, missing):
    with pytest.raises(SettingError, match=f"^ATELIER_{missing.upper()}_FILE: .*ATELIER_{given.upper()}_FILE is set"):
        settings(**{given: "x"})
