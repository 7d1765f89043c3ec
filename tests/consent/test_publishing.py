import json

import pytest
from sqlalchemy import event

from covey_consent.access.roles import Role
from covey_consent.errors import RequestError
from covey_consent.notices import files
from covey_privacy import wire
from covey_privacy.registry_messages import LEAF_NOTICE

SQLITE_ALONE = True  # What these tests say does not rest on the database.

ADMIN = Role.ADMIN


def written(purpose: str, version: str, more: str = "", **items: str) -> dict:
    """Return a packaged notice as its author would send it, with more in the English text."""
    file = json.loads(files.packaged()[purpose].model_dump_json()) | {"version": version}
    file["texts"]["en"]["text"] += more
    file["texts"]["en"]["items"] |= items
    return file


def saved(folder, purpose: str, version: str, more: str = "") -> None:
    """Write a packaged notice as the operator's own file."""
    folder.mkdir(exist_ok=True)
    plain = (files._PACKAGED / "texts" / f"{purpose}.toml").read_text("utf-8")
    mine = plain.replace('version = "1.0.0"', f'version = "{version}"')
    (folder / f"{purpose}.toml").write_text(mine.replace('text = """\n', f'text = """\n{more}\n', 1), "utf-8")


def publish(shop, file: dict, role: Role = ADMIN):
    return shop.publish(file, role)


def numbers(shop) -> dict[str, str]:
    return {purpose: notice.semver for purpose, notice in shop.notices().items()}


def test_a_minor_is_shown_logged_and_asks_nobody_anew(shop):
    phone = shop.phone()
    shop.grant(phone, "analytics")
    issuer = shop.issuer("analytics")
    digest = shop.sync(phone).notices
    answer = publish(shop, written("analytics", "1.1.0", "\n\nOne more word."))
    assert (answer.status_code, answer.json()["version"]) == (201, "1.1.0")
    notice = shop.notices()["analytics"]
    assert (notice.semver, "One more word." in notice.text("en").text) == ("1.1.0", True)
    assert LEAF_NOTICE + wire.encode(notice) in shop.entries()
    assert shop.sync(phone).notices != digest
    assert shop.tickets(phone, issuer)
    assert shop.http.get("/v1/notices/analytics").json()["digest"] == answer.json()["texts"][0]["digest"]


@pytest.mark.compliance("GDPR 7(2)", "one purpose a notice, and a new major is agreed to by itself")
def test_a_major_ends_every_grant_of_its_purpose_and_of_no_other(shop, problem):
    phone = shop.phone()
    shop.grant(phone, "analytics", "personalize")
    issuers = {name: shop.issuer(name) for name in ("analytics", "personalize")}
    assert publish(shop, written("analytics", "2.0.0", "\n\nAnother bargain.")).status_code == 201
    refused = shop.post("/v1/tickets", phone.request(issuers["analytics"], (), blinded=(bytes(256),) * 4))
    assert "version 2" in problem(refused, 403)
    assert shop.tickets(phone, issuers["personalize"])
    shop.grant(phone, "analytics")
    assert shop.tickets(phone, issuers["analytics"])
    both = written("analytics", "3.0.0") | {"purpose": ["analytics", "train"]}
    problem(publish(shop, both), 422)


def test_a_purpose_opens_while_the_registry_runs(opened, problem):
    with opened(purpose_sets=["celebrate"]) as shop:
        phone = shop.phone()
        file = written("replenish", "1.0.0") | {"purpose": "celebrate"}
        problem(shop.http.get("/v1/notices/celebrate"), 404)
        assert publish(shop, file).status_code == 201
        shop.grant(phone, "celebrate")
        assert shop.choices(phone) == {"celebrate": "granted"}
        assert shop.issuer("celebrate")
        offered = {one["id"] for one in shop.http.get("/v1/purposes").json() if one["offered"]}
        assert "celebrate" in offered


def test_the_same_again_is_no_new_version(shop):
    file = written("analytics", "1.1.0", "x")
    assert publish(shop, file).status_code == 201
    size = shop.checkpoint().size
    assert publish(shop, file).status_code == 200
    assert shop.checkpoint().size == size
    assert numbers(shop)["analytics"] == "1.1.0"


def test_what_was_replaced_does_not_come_back_by_itself(shop, problem):
    assert publish(shop, written("analytics", "1.1.0", "x")).status_code == 201
    assert "published before" in problem(publish(shop, written("analytics", "1.0.0")), 409)
    assert publish(shop, written("analytics", "1.2.0")).json()["version"] == "1.2.0"
    assert len(shop.http.get("/v1/notices/analytics/versions").json()) == 3


def test_changed_words_under_an_old_number_are_a_new_major(shop):
    assert publish(shop, written("analytics", "1.0.0", "x")).json()["version"] == "2.0.0"


def test_an_incomplete_notice_is_refused_and_nothing_is_kept(shop, problem):
    before = shop.notices(), shop.checkpoint()
    file = written("analytics", "1.1.0", method="", automated="")
    said = problem(publish(shop, file), 422)
    assert "en: method (PIPL 17(2)) is missing" in said
    assert "en: automated (GDPR 13(2)(f), PIPL 24) is missing" in said
    assert (shop.notices(), shop.checkpoint()) == before


@pytest.mark.parametrize("purpose", ["biometric", "price_profile"])
def test_a_refused_purpose_never_opens(shop, problem, purpose):
    assert "refused as a policy" in problem(
        publish(shop, written("core", "1.0.0") | {"purpose": purpose}), 422
    )


@pytest.mark.parametrize("role", [role for role in Role if role is not ADMIN])
def test_only_an_admin_publishes(shop, problem, role):
    problem(publish(shop, written("analytics", "1.1.0"), role), 403)
    problem(shop.http.post("/v1/notices", json=written("analytics", "1.1.0")), 401)


@pytest.mark.parametrize(
    "change",
    [
        {"version": "1.1"},
        {"version": "0.1.0"},
        {"texts": {}},
        {"texts": {"not a tag": {"title": "t", "text": "t"}}},
        {"epsilon": 100},
        {"texts": {f"e{chr(97 + n)}": {"title": "t", "text": "t"} for n in range(17)}},
    ],
)
def test_a_malformed_notice_is_refused(shop, problem, change):
    problem(publish(shop, written("analytics", "1.1.0") | change), 422)


def test_a_notice_that_is_too_long_for_one_download_is_refused(shop, problem):
    file = written("analytics", "1.1.0")
    long = file["texts"]["zh"] | {"text": "长" * 7900}
    file["texts"] |= dict.fromkeys(("zh-CN", "zh-HK", "zh-TW"), long)
    assert "bytes; at most" in problem(publish(shop, file), 422)


def test_a_failed_commit_shows_nothing(shop, problem):
    before = shop.http.get("/v1/notices").content

    def fail(_connection):
        raise OSError("the disk is full")

    engine = shop.http.app.state.registry.store._database.writer
    event.listen(engine, "commit", fail)
    problem(publish(shop, written("analytics", "1.1.0", "x")), 500)
    event.remove(engine, "commit", fail)
    assert shop.http.get("/v1/notices").content == before
    assert publish(shop, written("analytics", "1.1.0", "x")).status_code == 201


def test_a_start_does_not_revert_what_was_published(opened):
    with opened() as shop:
        publish(shop, written("analytics", "1.1.0", "x"))
        publish(shop, written("replenish", "1.0.0") | {"purpose": "celebrate"})
        before = shop.notices(), shop.checkpoint()
    with opened() as shop:
        assert (shop.notices(), shop.checkpoint()) == before


def test_new_facts_are_filled_into_what_is_in_force_and_ask_anew(opened):
    with opened() as shop:
        publish(shop, written("analytics", "1.1.0", "My own words."))
    for epsilon, expected in ((3.0, "2.0.0"), (3.0, "2.0.0"), (2.0, "3.0.0")):
        with opened(epsilon={"analytics": epsilon, "train": 2.0}) as shop:
            notice = shop.notices()["analytics"]
            assert (notice.semver, notice.epsilon) == (expected, epsilon)
            assert "My own words." in notice.text("en").text


def test_an_operators_file_is_published_as_it_is_numbered(opened, tmp_path):
    folder = tmp_path / "notices"
    with opened():
        saved(folder, "analytics", "1.0.1", "Clearer words.")
        saved(folder, "train", "1.0.0", "Other words, and no other number.")
    with opened(notices=folder) as shop:
        assert numbers(shop) == dict.fromkeys(numbers(shop), "1.0.0") | {
            "analytics": "1.0.1",
            "train": "2.0.0",
        }
        before = shop.notices(), shop.checkpoint()
    for again in ({"notices": folder}, {}):
        with opened(**again) as shop:
            assert (shop.notices(), shop.checkpoint()) == before


def test_a_raised_cap_under_an_operators_minor_stops_the_start(opened, tmp_path):
    with opened():
        saved(tmp_path / "notices", "analytics", "1.1.0", "Clearer words.")
    raised = {"notices": tmp_path / "notices", "epsilon": {"analytics": 3.0, "train": 2.0}}
    with pytest.raises(RequestError, match=r"its cap, raised.*declare 2\.0\.0"), opened(**raised):
        pass
    with opened() as shop:
        assert numbers(shop)["analytics"] == "1.0.0"


def test_every_version_is_listed_and_what_changed_between_two(shop, problem):
    old = shop.notices()["analytics"]
    publish(shop, written("analytics", "1.1.0", "\n\nOne more word."))
    listed = shop.http.get("/v1/notices/analytics/versions").json()
    assert [one["version"] for one in listed] == ["1.0.0", "1.1.0"]
    assert listed[0]["texts"][1]["digest"] == old.text("zh").digest.hex()
    assert listed[1]["at"] == int(shop.clock.now)
    path = "/v1/notices/analytics/changes"
    changes = shop.http.get(path, params={"old": "1.0.0", "new": "1.1.0"}).json()["changes"]
    assert [*changes] == ["en"]
    assert changes["en"][:2] == ["--- 1.0.0", "+++ 1.1.0"]
    assert "+One more word." in changes["en"]
    assert shop.http.get(path, params={"old": "1.1.0", "new": "1.1.0"}).json()["changes"] == {}
    problem(shop.http.get(path, params={"old": "1.0.0", "new": "1.9.0"}), 404)
    problem(shop.http.get(path, params={"old": "first", "new": "1.1.0"}), 422)
    assert shop.http.get("/v1/notices/partner/versions").json() == []
    problem(shop.http.get("/v1/notices/resale/versions"), 404)
