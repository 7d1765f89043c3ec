import os
import re
import stat

import pytest
from pydantic import ValidationError

from covey_consent.errors import DamageError, RequestError, UnknownError
from covey_consent.notices import files
from covey_consent.notices.drafts import NoticeFacts, draft
from covey_consent.policy import controller, purposes
from covey_consent.settings import Settings
from covey_privacy import checkpoint, wire
from covey_privacy.dp.odometer import Caps
from covey_privacy.merkle import leaf_hash
from covey_privacy.registry_messages import LEAF_NOTICE

CAPS = Caps({"analytics": 1.5, "train": 3.0}, 4.0, 1e-6)
FACTS = NoticeFacts(controller.load(None), CAPS)
PACKAGED = [draft(file.completed, FACTS) for file in files.packaged().values()]
OPENED = ("analytics", "core", "marketing", "personalize", "replenish", "train")
"""The purposes in use from the first start: none of high risk."""


def test_every_purpose_has_words_and_bases_under_both_laws():
    assert len(purposes.load()) == 21
    for purpose in purposes.load().values():
        assert purpose.basis in ("consent", "contract", "law", "refused")
        assert purpose.gdpr
        assert purpose.pipl
        assert purpose.retention
        assert purpose.en.isascii()
        assert re.search("[一-鿿]", purpose.zh)


def test_only_contract_and_law_do_without_consent():
    without = {purpose.id for purpose in purposes.load().values() if not purpose.needs_consent}
    assert without == {"core", "membership", "consent_record", "biometric", "price_profile"}


@pytest.mark.parametrize("name", ["biometric", "price_profile"])
def test_refused_purposes_are_never_found(name):
    with pytest.raises(RequestError, match="refused"):
        purposes.find(name)


def test_an_unknown_purpose_is_not_found():
    with pytest.raises(UnknownError):
        purposes.find("resale")


@pytest.mark.parametrize("notice", PACKAGED, ids=lambda notice: notice.purpose)
def test_every_notice_is_in_english_and_chinese_and_says_its_caps(notice):
    assert [text.language for text in notice.texts] == ["en", "zh"]
    english, chinese = notice.texts
    assert re.search("[一-鿿]", chinese.text)
    assert not re.search("[一-鿿]", english.text)
    for text in notice.texts:
        assert "$" not in text.text
        assert len(text.text) > 200
    if notice.epsilon:
        for text in notice.texts:
            assert f"{notice.epsilon:g}" in text.text
            assert f"{notice.epsilon_total:g}" in text.text
    if notice.basis == "consent":
        assert "off until you switch it on" in english.text
        assert "默认关闭" in chinese.text


@pytest.mark.compliance("GDPR 12(1)", "notices in plain words: no sentence longer than 50 of them")
@pytest.mark.parametrize("file", files.packaged().values(), ids=lambda file: file.purpose)
def test_every_notice_is_in_short_sentences(file):
    sentences = re.split(r"[.;:]\s", file.texts["en"].text)
    assert len(sentences) > 5
    assert max(len(sentence.split()) for sentence in sentences) <= 50


@pytest.mark.compliance("GDPR 14", "every notice says where the data are from, in every language")
@pytest.mark.parametrize("file", files.packaged().values(), ids=lambda file: file.purpose)
def test_every_notice_says_where_the_data_are_from(file):
    for text in draft(file.completed, FACTS).texts:
        said = {"en": "Source: ", "zh": "来源："}[text.language]
        (line,) = [line for line in text.text.splitlines() if line.startswith(said)]
        assert len(line) > len(said) + 10


def test_a_purpose_without_a_cap_may_spend_nothing():
    epsilons = {notice.purpose: notice.epsilon for notice in PACKAGED}
    assert epsilons == dict.fromkeys(epsilons, 0) | {"analytics": 1.5, "train": 3}


def test_the_download_is_signed_and_logged(shop):
    assert tuple(shop.notices()) == OPENED
    for notice in shop.notices().values():
        assert LEAF_NOTICE + wire.encode(notice) in shop.entries()


def test_a_notice_can_be_read_in_either_language(shop, problem):
    chinese = shop.http.get("/v1/notices/train", params={"language": "zh"}).json()
    notice = shop.notices()["train"]
    assert chinese["digest"] == notice.text("zh").digest.hex()
    assert chinese["title"] == "参与改进模型"
    assert shop.http.get("/v1/notices/train", params={"language": "xx"}).json()["language"] == "en"
    assert shop.http.get("/v1/notices/train", params={"language": "zh-CN"}).json() == chinese
    problem(shop.http.get("/v1/notices/partner"), 404)
    problem(shop.http.get("/v1/notices/biometric"), 422)


def test_purposes_are_listed_with_what_they_gate(shop):
    listed = {purpose["id"]: purpose for purpose in shop.http.get("/v1/purposes").json()}
    assert listed["train"]["gdpr"] == "6(1)(a)"
    assert "churn" in listed["train"]["gates"]
    assert {name for name, purpose in listed.items() if purpose["offered"]} == set(OPENED)
    assert listed["biometric"]["basis"] == "refused"


def test_a_changed_cap_is_a_new_version_and_asks_again(opened, problem):
    with opened() as shop:
        phone = shop.phone()
        shop.grant(phone, "analytics")
        shop.tickets(phone, shop.issuer("analytics"))
    with opened(epsilon={"analytics": 3.0, "train": 2.0}) as shop:
        versions = {notice.purpose: notice.version for notice in shop.notices().values()}
        assert versions == dict.fromkeys(OPENED, 1) | {"analytics": 2}
        shop.clock.now += 86400
        issuer = shop.issuer("analytics")
        refused = shop.post("/v1/tickets", phone.request(issuer, (), blinded=(bytes(256),) * 4))
        assert "version 2" in problem(refused, 403)
        shop.grant(phone, "analytics")
        assert shop.tickets(phone, issuer)


def test_unchanged_notices_keep_their_version_and_leaf(opened):
    with opened() as shop:
        before = shop.notices(), shop.checkpoint()
    with opened() as shop:
        assert (shop.notices(), shop.checkpoint()) == before


def test_the_key_file_is_made_once_and_for_its_owner_alone(opened, tmp_path):
    with opened() as shop:
        key = shop.registry.public
    mode = stat.S_IMODE(os.stat(tmp_path / "registry.key").st_mode)
    assert mode == 0o600
    with opened() as shop:
        assert shop.registry.public == key


def test_a_key_file_that_others_read_or_that_holds_no_key_is_not_used(opened, tmp_path):
    path = tmp_path / "registry.key"
    path.write_text("00" * 32)
    path.chmod(0o644)
    with pytest.raises(DamageError, match="chmod 600"), opened():
        pass
    path.write_text("no key")
    path.chmod(0o600)
    with pytest.raises(DamageError, match="64 hex digits"), opened():
        pass


def test_settings_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("COVEY_REGISTRY_EPSILON", '{"analytics": 1}')
    monkeypatch.setenv("COVEY_REGISTRY_SLOTS", "7")
    assert (Settings().epsilon, Settings().slots) == ({"analytics": 1.0}, 7)


@pytest.mark.parametrize(
    "wrong",
    [{"operator": "beef"}, {"epoch_seconds": 8 * 86400}, {"epsilon": {"train": -1}}, {"origin": "a b"}],
)
def test_settings_out_of_bounds_are_refused(wrong):
    with pytest.raises(ValidationError):
        Settings(**wrong)


def test_the_checkpoint_bears_the_configured_origin(opened):
    with opened(origin="shop.example/covey") as shop:
        note = shop.http.get("/v1/log/checkpoint")
        assert note.headers["content-type"].startswith("text/plain")
        assert checkpoint.open_note(note.text, shop.registry.public).origin == "shop.example/covey"
        assert shop.http.get(f"/v1/log/inclusion/{leaf_hash(shop.entries()[0]).hex()}").status_code == 200
