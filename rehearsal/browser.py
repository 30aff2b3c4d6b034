"""A Chromium for the tests of the approvers' page: one that the machine has, or one unpacked into the cache.

Run as a program (`make browser`) it gets one: the npm package `@sparticuz/chromium` (MIT), which carries a headless
Chromium, by npm and by hash, unpacked by the Node.js that Playwright's own wheel carries. It must not touch the system.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

from rehearsal.errors import RehearsalError
from rehearsal.layout import find_cache

VARIABLE: Final = "NARROWGATE_CHROMIUM"
NAMES: Final = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "headless-shell")
PACKAGE: Final = "@sparticuz/chromium"
VERSION: Final = "153.0.0"
SHA256: Final = "20e5656fcdcf4118ede85edfb9d6bb9cc1bbb7ffb8b75622fffbcf36a835c3c0"
HOW: Final = f"run `make browser`, or install Chromium (Debian: apt-get install chromium), or name one in {VARIABLE}"
# What the package's archives hold, and where it goes.
PARTS: Final = ("chromium", "al2023.tar", "fonts.tar", "swiftshader.tar")
_UNPACK: Final = """
const {createBrotliDecompress} = require('node:zlib'); const fs = require('node:fs');
const {pipeline} = require('node:stream/promises');
const [from, to, ...names] = process.argv.slice(1);
(async () => { for (const name of names) await pipeline(
  fs.createReadStream(`${from}/${name}.br`), createBrotliDecompress(), fs.createWriteStream(`${to}/${name}`)); })();
"""


def find_browser() -> Path | None:
    """Return a Chromium: the one that the environment names, the machine's, the cache's; None where there is none."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    for name in NAMES:
        if found := shutil.which(name):
            return Path(found)
    cached = _folder() / "chromium"
    return cached if cached.exists() else None


def browser_environment(browser: Path) -> dict[str, str]:
    """Return the variables that a browser of the cache needs, beside this process's."""
    folder = browser.parent
    if folder != _folder():
        return dict(os.environ)
    return {
        **os.environ,
        "LD_LIBRARY_PATH": f"{folder / 'lib'}:{folder}",
        "FONTCONFIG_FILE": str(folder / "fonts.conf"),
        "HOME": str(folder / "home"),
    }


def get_browser() -> Path:
    """Return a Chromium, which is unpacked into the cache where the machine has none.

    Raises RehearsalError where there is no npm, or what it got is not what this checkout pins.
    """
    found = find_browser()
    if found is not None:
        return found
    npm = shutil.which("npm")
    if npm is None:
        raise RehearsalError("There is no Chromium, and no npm to get one.", hint=HOW)
    folder = _folder()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        made = _unpack(_download(npm, Path(work)), Path(work))
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)
    return folder / "chromium"


def _folder() -> Path:
    return find_cache() / f"chromium-{VERSION}"


def _download(npm: str, work: Path) -> Path:
    command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--silent", "--pack-destination", str(work)]
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
    archives = list(work.glob("*.tgz"))
    if done.returncode or len(archives) != 1:
        raise RehearsalError(f"npm did not get {PACKAGE} {VERSION}: {done.stderr.strip()[-300:]}", hint=HOW)
    if hashlib.sha256(archives[0].read_bytes()).hexdigest() != SHA256:
        raise RehearsalError(f"{PACKAGE} {VERSION} is not the one that this checkout pins.")
    return archives[0]


def _unpack(archive: Path, work: Path) -> Path:
    import playwright

    with tarfile.open(archive) as tar:
        tar.extractall(work, filter="data")
    made = work / "made"
    (made / "home").mkdir(parents=True)
    node = Path(playwright.__file__).parent / "driver" / "node"
    subprocess.run([str(node), "-e", _UNPACK, str(work / "package" / "bin"), str(made), *PARTS], check=True)
    for name in PARTS[1:]:
        with tarfile.open(made / name) as tar:
            tar.extractall(made, filter="data")
        (made / name).unlink()
    fonts = f"<fontconfig><dir>{_folder() / 'fonts'}</dir><cachedir>{_folder() / 'home'}</cachedir></fontconfig>"
    (made / "fonts.conf").write_text(f'<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">{fonts}')
    (made / "chromium").chmod(0o755)
    return made


if __name__ == "__main__":
    try:
        sys.stderr.write(f"Chromium: {get_browser()}\n")
    except RehearsalError as error:
        sys.stderr.write(f"no Chromium: {error} The browser's tests will be skipped: {HOW}\n")
