import pytest

from covey_server.config import RequestedQuery, load_object, read_config
from covey_server.coordinator import operator_key
from covey_server.errors import ConfigError, NodesError
from covey_server.flower import InProcessGrid, wait_for_nodes

CONFIG = {
    "queries": "q20=0.6 q1=1.4",
    "epsilon-cap": 2.0,
    "profile": "production",
    "delta": 1e-6,
    "committees": "standing+drawn",
    "privacy": 1,
    "gamma": 0.05,
    "lost": 0.3,
    "turnout": 0.95,
    "volunteer-seconds": 3600,
    "contribute-seconds": 7200,
    "check-seconds": 600,
    "open-seconds": 600,
    "phase-timeout": 60.0,
    "site": "shop.site",
}


def test_questions_are_asked_in_order():
    assert read_config(CONFIG, 7).questions == (RequestedQuery("q20", 0.6), RequestedQuery("q1", 1.4))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"queries": "q999=1"}, "no query 'q999'; choose from"),
        ({"queries": "q1=0"}, "epsilon 0"),
        ({"queries": "q1=nan"}, "epsilon nan"),
        ({"queries": "q1"}, "cannot be read"),
        ({"epsilon-cap": 0}, "epsilon cap of 0"),
        ({"queries": "p1=4"}, "epsilon cap of 0"),
        ({"queries": "p1=4", "train-epsilon-cap": 4.0}, "name their file as catalogue"),
        ({"epsilon-cap": "much"}, "cannot be read"),
        ({"profile": "lenient"}, "no profile 'lenient'"),
        ({"committees": "standing+standing"}, "standing, drawn or standing.drawn was expected"),
        ({"committees": ""}, "standing, drawn or standing.drawn was expected"),
        ({"lost": 1.5}, "lost is 1.5; a share from 0 to 1"),
        ({"gamma": -0.1}, "gamma is -0.1"),
        ({"site": ""}, "covey site sign"),
    ],
)
def test_what_cannot_be_is_one_line(change, says):
    with pytest.raises(ConfigError, match=says) as refused:
        read_config({**CONFIG, **change}, 7)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", [name for name in CONFIG if name != "site"])
def test_what_is_missing_is_named(name):
    with pytest.raises(ConfigError, match=name):
        read_config({key: value for key, value in CONFIG.items() if key != name}, 7)


def test_a_run_without_a_folder_keeps_its_state_by_its_id():
    assert read_config(CONFIG, 7).state.name == "covey-run-7"
    assert read_config({**CONFIG, "state-dir": "/srv/covey"}, 7).state.as_posix() == "/srv/covey"


def test_a_relative_catalogue_lies_in_the_state_folder():
    asked = {**CONFIG, "queries": "p1=4", "train-epsilon-cap": 4.0, "state-dir": "/srv"}
    assert (
        read_config({**asked, "catalogue": "shop/all.json"}, 7).catalogue.as_posix() == "/srv/shop/all.json"
    )
    assert read_config({**asked, "catalogue": "/etc/all.json"}, 7).catalogue.as_posix() == "/etc/all.json"
    assert read_config(CONFIG, 7).catalogue is None


def test_the_policy_has_seats_where_a_standing_committee_is_asked_for():
    seats = (b"1" * 32, b"2" * 32)
    both = read_config(CONFIG, 7).policy(seats).committees
    assert (both.organisations, both.drawn, both.lost, both.turnout) == (seats, True, 0.3, 0.95)
    drawn = read_config({**CONFIG, "committees": "drawn"}, 7).policy(seats).committees
    assert (drawn.organisations, drawn.drawn) == ((), True)


def test_windows_follow_one_another():
    windows = read_config(CONFIG, 7).durations.windows_from(1000)
    assert (windows.volunteer, windows.contribute, windows.check, windows.open) == (4600, 11800, 12400, 13000)


def test_a_question_is_booked_under_its_purpose():
    assert [RequestedQuery(name, 1.0).purpose for name in ("q20", "q1", "p1")] == [
        "analytics",
        "analytics",
        "train",
    ]


def test_the_operator_key_is_made_once_and_for_its_owner_alone(tmp_path):
    first = operator_key(tmp_path / "state")
    assert operator_key(tmp_path / "state").public == first.public
    assert (tmp_path / "state" / "operator.key").stat().st_mode & 0o777 == 0o600
    (tmp_path / "state" / "operator.key").write_bytes(b"short")
    with pytest.raises(ConfigError, match="32 bytes; it holds 5"):
        operator_key(tmp_path / "state")


@pytest.mark.parametrize("name", ["", "nowhere", "nowhere:build", "covey_server.config:nothing"])
def test_a_fleet_that_cannot_be_loaded_is_named(name):
    with pytest.raises(ConfigError, match="cannot be loaded as module:name"):
        load_object(name)


def test_waiting_for_nodes_ends():
    grid = InProcessGrid(lambda message, context: message, {})
    with pytest.raises(NodesError, match="0 nodes are connected"):
        wait_for_nodes(grid, 1, 0.2)
