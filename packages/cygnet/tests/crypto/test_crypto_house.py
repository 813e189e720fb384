"""The house rules of crypto/: the one importer of the library, loaded late, loadable without docstrings."""

import re
import subprocess
import sys
from pathlib import Path

import cygnet

SOURCE = Path(cygnet.__file__).parent


def test_nobody_else_imports_the_library() -> None:
    importing = re.compile(r"^\s*(from|import) cryptography\b", re.MULTILINE)
    found = {path.parent.name for path in SOURCE.rglob("*.py") if importing.search(path.read_text())}
    assert found == {"crypto"}


def test_the_modules_load_without_the_library_until_it_is_used() -> None:
    """Start-up on a slow box: transforms, MACs, key derivation, names and RSA keys as such need no OpenSSL."""
    program = (
        "import sys; from cygnet.crypto import cbc, certificates, derive, exchange, mac, names, rsa, transforms, trust; "
        "sys.exit('cryptography' in sys.modules)"
    )
    subprocess.run([sys.executable, "-OO", "-c", program], check=True, env={"PYTHONPATH": str(SOURCE.parent)})
