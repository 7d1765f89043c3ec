"""An app that embeds the SDK: the built wheel, its four dependencies, and modules of the app's own names."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]

APP = """
import sys
import models, server
from covey_sdk import Device, Trust
from covey_sdk.events import parse

assert models.NAME == "the app's own models" and server.NAME == "the app's own server"
heavy = {"flwr", "torch", "scipy", "pydantic", "pandas", "grpc", "sqlalchemy", "fastapi"} & set(sys.modules)
assert not heavy, heavy
device = Device.open("covey.db", bytes(32), trust=Trust(bytes(32), bytes(32), "covey.example/log"))
order = {"type": "order_paid", "order_id": "A", "at_ms": 1700000000000, "tz_offset_min": 0, "currency": "EUR",
         "total_minor": 100, "lines": [{"item_id": "7", "category": "tea", "paid_minor": 100}]}
assert device.record(parse(order)) is False, "nobody allowed anything"
assert device.tags() == ()
device.erase()
print("embedded")
"""


def test_the_wheel_embeds_in_an_app_with_modules_of_its_own(tmp_path):
    def run(*command: str, cwd: Path = tmp_path) -> str:
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run(sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), cwd=REPOSITORY)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    packages = {name.split("/")[0] for name in names if "/" in name and ".dist-info" not in name}
    assert packages == {
        "covey_privacy", "covey_models", "covey_sdk", "covey_consent", "covey_server", "covey_simulations"
    }  # fmt: skip
    assert all(f"{package}/py.typed" in names for package in packages)
    run(sys.executable, "-m", "venv", "venv")
    python = str(tmp_path / "venv" / "bin" / "python")
    run(python, "-m", "pip", "install", "--quiet", str(wheel))
    app = tmp_path / "app"
    app.mkdir()
    for module in ("models", "server"):
        (app / f"{module}.py").write_text(f'NAME = "the app\'s own {module}"')
    (app / "main.py").write_text(APP)
    assert run(python, "main.py", cwd=app) == "embedded\n"
    refused = subprocess.run(
        [str(tmp_path / "venv" / "bin" / "covey"), "demo", "--out", "x"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert refused.returncode == 1
    assert "pip install '.[demo]'" in refused.stderr
