"""Until there is a release on PyPI, nothing tells anyone to install one; what README says works."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
README = (REPOSITORY / "README.md").read_text("utf-8")
RELEASED = re.compile(r"pip install ['\"]?covey\b")


def commands() -> list[str]:
    """Return the commands below README's heading."""
    (block,) = re.findall(r"## Installing\n.*?```sh\n(.*?)```", README, re.DOTALL)
    return [line.partition("#")[0].strip() for line in block.splitlines()]


def test_install_commands_work_without_a_release():
    texts = [REPOSITORY / "covey.py", *REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")]
    assert [str(file) for file in texts if RELEASED.search(file.read_text("utf-8"))] == []
    assert {"pip install .", "pip install '.[server]'", "pip install dist/covey-*.whl"} <= {*commands()}


@pytest.mark.slow
def test_each_command_works_in_an_environment_of_its_own(tmp_path):
    checkout = tmp_path / "checkout"
    shutil.copytree(REPOSITORY, checkout, ignore=shutil.ignore_patterns(".*", "dist", "build", "demo"))
    for number, line in enumerate(commands()):
        venv = tmp_path / f"venv{number}"
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        done = subprocess.run(
            ["sh", "-c", line], cwd=checkout, capture_output=True, text=True, check=False, timeout=900,
            env={"PATH": f"{venv}/bin:/usr/bin:/bin", "HOME": str(tmp_path)},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        if "wheel" in line:
            continue
        asked = ["--version", "registry key --hex"] if "server" in line else ["--version"]
        for each in asked:
            said = subprocess.run(
                [venv / "bin" / "covey", *each.split()],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=False,
            )
            assert said.returncode == 0, said.stderr
        imported = "from covey_sdk import Device, rule_bundle, ledger; assert rule_bundle.BASE"
        subprocess.run([venv / "bin" / "python", "-c", imported], cwd=tmp_path, check=True)


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_the_packages(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, REPOSITORY],
        check=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    held = {name.partition("/")[2] for name in zipfile.ZipFile(wheel).namelist()}
    for package in REPOSITORY.glob("*/covey_*"):
        for file in package.rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts:
                assert str(file.relative_to(package)) in held
