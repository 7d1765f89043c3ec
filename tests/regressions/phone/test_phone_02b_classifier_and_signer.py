"""A known sensitive word is proposed as sensitive, and is not signed as ordinary without a written reason."""

import json
from dataclasses import replace

import covey
import pytest

from covey_privacy.signatures import SigningKey
from covey_sdk.category_mapping import Row, propose
from covey_sdk.errors import RegistryError
from covey_sdk.rule_bundle import BASE, Category, open_rules, sign_rules

WORDS = (
    *("pregnancy tests", "nappies", "condom", "tampons", "insulin", "baby formula"),
    *("避孕套", "验孕棒", "纸尿裤", "感冒药", "卫生巾"),
)
KEY = SigningKey(bytes(range(32)))


def bundle(*categories):
    return replace(BASE, version=BASE.version + 1, categories=categories)


@pytest.mark.parametrize("word", WORDS)
def test_phone_02b_classifier_and_signer(word):
    assert propose(Row("7", word)).kind in ("health", "family")
    with pytest.raises(RegistryError, match=f"{word}.*ordinary.*reason"):
        sign_rules(bundle(Category(word, "ordinary")), KEY)
    with pytest.raises(RegistryError, match=f"'7'.*{word}.*ordinary"):
        sign_rules(bundle(Category("7", "ordinary")), KEY, {"7": word})
    kind = propose(Row("7", word)).kind
    sign_rules(bundle(Category("7", kind)), KEY, {"7": word})


@pytest.mark.parametrize(
    "reason", ["", "   ", "ok", "n/a", "ordinary", "1 2 3 4", "x y z", "condom condom condom", "普通"]
)
def test_what_is_no_reason_is_refused(reason):
    with pytest.raises(RegistryError, match="reason"):
        sign_rules(bundle(Category("condom", "ordinary", reason)), KEY)


@pytest.mark.parametrize("reason", ["rubber seals for water pipes", "这是管道用的密封圈"])
def test_a_written_reason_is_signed_and_readable_in_the_bundle(reason):
    signed = sign_rules(bundle(Category("condom", "ordinary", reason)), KEY)
    assert open_rules(signed, KEY.public).categories[0].reason == reason


def test_a_path_in_a_sensitive_branch_is_refused():
    with pytest.raises(RegistryError, match="health care"):
        sign_rules(
            bundle(Category("7", "ordinary")), KEY, {"7": "Health & Beauty > Health Care > Thermometers"}
        )


@pytest.fixture
def shop(tmp_path):
    (tmp_path / "operator.key").write_bytes(KEY.secret)
    (tmp_path / "names.csv").write_text("id,name\n1,Beer\n2,Nappies\n3,Gadgets\n", "utf-8")

    def run(*arguments):
        return covey.main(["catalogue", *(str(tmp_path / a) if "." in a else a for a in arguments)])

    return run


def test_the_commands_go_from_names_to_a_bundle(shop, tmp_path, capsys):
    assert shop("classify", "names.csv", "--out", "mapping.json") == 0
    assert "3 Gadgets" in capsys.readouterr().out
    assert (
        shop("sign", "mapping.json", "--key", "operator.key", "--version", "7", "--out", "rules.signed") == 0
    )
    rules = open_rules((tmp_path / "rules.signed").read_bytes(), KEY.public)
    assert rules.version == 7
    assert rules.categories == (Category("1", "ordinary"), Category("2", "family"))


def test_the_command_refuses_what_a_person_mapped_against_the_name(shop, tmp_path, capsys):
    shop("classify", "names.csv", "--out", "mapping.json")
    mapping = json.loads((tmp_path / "mapping.json").read_text("utf-8"))
    mapping["categories"][1]["kind"] = "ordinary"
    (tmp_path / "edited.json").write_text(json.dumps(mapping), "utf-8")
    assert (
        shop("sign", "edited.json", "--key", "operator.key", "--version", "7", "--out", "rules.signed") == 2
    )
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "'nappies' is a known word of family" in error
    assert not (tmp_path / "rules.signed").exists()
