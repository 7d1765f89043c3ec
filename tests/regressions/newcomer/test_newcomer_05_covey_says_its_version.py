"""`covey --version` is what one tries first; `covey version` stays."""

import importlib.metadata

import covey as command_line
import pytest


def test_covey_says_its_version(covey):
    asked = covey("--version")
    assert (asked.returncode, asked.stdout) == (0, f"covey {importlib.metadata.version('covey')}\n")
    assert covey("version").stdout == asked.stdout


@pytest.mark.parametrize("asked", [["--version"], ["version"]])
def test_a_checkout_that_was_not_installed_says_so_in_one_line(monkeypatch, capsys, asked):
    def unknown(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(command_line, "version", unknown)
    with pytest.raises(SystemExit) as ended:
        raise SystemExit(command_line.main(asked))
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (1, "")
    assert said.err == "covey: Covey is not installed here, so its version is not known: pip install .\n"
