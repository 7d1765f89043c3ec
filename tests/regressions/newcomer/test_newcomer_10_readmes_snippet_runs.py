"""README's snippet runs as it stands, beside what `covey registry serve --demo` printed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # It runs the README's commands in processes of their own.

README = (Path(__file__).parents[3] / "README.md").read_text("utf-8")


def test_readmes_snippet_runs(serving, tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert "covey registry serve --demo | tee covey_demo.py" in README
    printed = serving("registry", "serve", "--demo", "--port", "0", lines=4)
    assert "FOR TRYING OUT ONLY" in printed[0]
    (tmp_path / "covey_demo.py").write_text("\n".join(printed), "utf-8")
    (tmp_path / "snippet.py").write_text(code, "utf-8")
    ran = subprocess.run(
        [sys.executable, "snippet.py"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    assert "rfm.segment general_develop How recently you bought" in ran.stdout


def test_a_registry_for_trying_out_leaves_nothing(serving, tmp_path, covey_here):
    kept = tmp_path / "kept"
    kept.mkdir()
    (settings,) = [{"TMPDIR": str(kept), "COVEY_REGISTRY_DATABASE_URL": "sqlite:///nowhere/x.db"}]
    serving("registry", "serve", "--demo", "--port", "0", lines=4, **settings)
    assert len(list(kept.iterdir())) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept", "stdout-0"]
    serving.stop()
    assert list(kept.iterdir()) == []


@pytest.mark.parametrize("host", ["192.0.2.1", "::", "example.com"])
def test_a_registry_for_trying_out_is_for_this_machine_alone(covey_here, host):
    refused = covey_here("registry", "serve", "--demo", "--host", host, "--port", "0")
    assert refused.returncode == 2
    assert "--demo is for this machine alone" in refused.stderr
