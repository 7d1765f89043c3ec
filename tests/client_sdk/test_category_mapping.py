import json
from pathlib import Path

import covey
import pytest

from covey_sdk import sensitive_words
from covey_sdk.category_mapping import FORMAT, Row, document, propose, read_mapping, read_rows
from covey_sdk.errors import CatalogueError
from covey_sdk.rule_bundle import Category

HELD_OUT = json.loads((Path(__file__).parent / "data/held_out_categories.json").read_text("utf-8"))


def kind(name, path=""):
    return propose(Row("7", name, path)).kind


@pytest.mark.parametrize("language", HELD_OUT["sensitive"])
def test_no_sensitive_name_of_the_fixed_set_is_ordinary(language):
    for name in HELD_OUT["sensitive"][language]:
        assert sensitive_words.find(name), name
        assert kind(name) != "ordinary", name


@pytest.mark.parametrize("language", HELD_OUT["ordinary"])
def test_no_ordinary_name_of_the_fixed_set_is_sensitive(language):
    assert [name for name in HELD_OUT["ordinary"][language] if sensitive_words.find(name)] == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("CONDOMS", "health"),
        ("Babyfood", "family"),
        ("babyCare", "family"),
        ("Pre\u0301servatifs", "health"),
        ("nap\u00adpies", "family"),
        ("Saeuglingsnahrung", "family"),
        ("成人 纸尿裤", "health"),
        ("山药", "ordinary"),
        ("Condominium", None),
        ("Vitamins for babies", None),
        ("Other products", None),
        ("Milk", "ordinary"),
        ("Milk thistle", None),
        ("7", None),
        ("", None),
    ],
)
def test_names(name, expected):
    assert kind(name) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("Health & Beauty > Health Care", "health"),
        ("Baby & Toddler", "family"),
        ("Furniture > Shelving", "ordinary"),
        ("Furniture > Baby & Toddler Furniture", "family"),
        ("Health & Beauty", None),
    ],
)
def test_paths(path, expected):
    assert kind("Gizmo", path) == expected


def test_a_table_a_tree_and_a_list_are_read():
    assert read_rows(b"\xef\xbb\xbfid,name,path\n1,Beer,Food > Drinks\n") == [
        Row("1", "Beer", "Food > Drinks")
    ]
    tree = "name,id,parent\nWipes,3,2\nCare,2,1\nInfants,1,\nTea,4,Drinks\n"
    assert [row.path for row in read_rows(tree.encode())] == ["Infants > Care", "Infants", "", "Drinks"]
    assert propose(read_rows(tree.encode())[0]).kind == "family"
    assert read_rows("啤酒\n\nTea\n".encode()) == [Row("啤酒", "啤酒"), Row("Tea", "Tea")]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "no row"),
        (b"id,name\n", "no row"),
        (b"id,name\n1,Tea,\n", "row 2 has 3 columns"),
        (b"id,name\n1,Tea\n,Beer\n", "row 3 has no id"),
        (b"id,name\n1,Tea\n1,Beer\n", "row 3 has the id '1' of row 2"),
        (b"id,name\na b,Tea\nA_b,Beer\n", "row 3 has the id"),
        (b"id,id\n1,1\n", "row 1"),
        (b"Tea\nSoup, canned\n", "row 2 has 2 columns"),
        (b"id,name\n1,Tea\n2,\xff\n", "row 3 is not UTF-8"),
        (b'id,name\n1,"Tea\n', "row 2 is not CSV"),
        (b"id,name\n1,Te\0a\n", "row 2"),
        (b"id,name\n" + b"1" * 129 + b",Tea\n", "row 2"),
        (b"id,name,parent\n1,Tea,2\n2,Leaf,1\n", "row 2.*own"),
        (b"id,name\n1," + b"x" * 200_000, "row 2"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, capsys, data, says):
    with pytest.raises(CatalogueError, match=says):
        read_rows(data)
    (tmp_path / "in.csv").write_bytes(data)
    assert (
        covey.main(["catalogue", "classify", str(tmp_path / "in.csv"), "--out", str(tmp_path / "out")]) == 2
    )
    assert capsys.readouterr().err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


def test_a_mapping_comes_back_without_what_is_undecided():
    file = document(map(propose, [Row("1", "Beer"), Row("2", "Nappies", "Care"), Row("3", "Gadgets")]))
    assert [entry["id"] for entry in file["undecided"]] == ["3"]
    mapping = read_mapping(json.dumps(file).encode())
    assert mapping.categories == (Category("1", "ordinary"), Category("2", "family"))
    assert mapping.names == {"1": "Beer", "2": "Care > Nappies"}


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("[", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("{}", "no mapping"),
        (json.dumps({"format": FORMAT, "categories": [3]}), "category 1"),
        (json.dumps({"format": FORMAT, "categories": [{"id": "1", "kind": "other"}]}), "category 1.*'other'"),
        (json.dumps({"format": FORMAT, "categories": [{"id": 1, "kind": "health"}]}), "category 1"),
    ],
)
def test_a_wrong_mapping_is_refused(file, says):
    with pytest.raises(CatalogueError, match=says):
        read_mapping(file.encode())


def test_a_file_is_never_written_over_and_chinese_is_printed(tmp_path, capsys):
    (tmp_path / "in.csv").write_text("啤酒\n小工具\n", "utf-8")
    arguments = ["catalogue", "classify", str(tmp_path / "in.csv"), "--language", "zh"]
    assert covey.main([*arguments, "--out", str(tmp_path / "out.json")]) == 0
    assert "小工具: 没有已知的词" in capsys.readouterr().out
    (tmp_path / "out.json").write_text("edited", "utf-8")
    assert covey.main([*arguments, "--out", str(tmp_path / "out.json")]) == 1
    assert (tmp_path / "out.json").read_text("utf-8") == "edited"
    assert covey.main([*arguments, "--json"]) == 0
    capsys.readouterr()
