import math

import numpy as np
import pytest

from covey_models import ModelError
from covey_models.catalogue import Catalogue


def test_a_history_marks_what_the_catalogue_knows():
    shop = Catalogue(("bread", "milk", "tea"))
    assert shop.history(["tea", "bread", "tea", "gone"]).tolist() == [True, False, True]
    assert shop.history([]).tolist() == [False, False, False]


def test_without_a_taxonomy_there_are_no_features():
    assert Catalogue(("bread",)).features() is None


def test_features_are_large_groups_with_rows_of_norm_one_and_a_constant():
    items = tuple(f"item {i}" for i in range(20))
    shop = Catalogue(items, {"hall": ("a",) * 9 + ("b",) * 11, "shelf": ("x",) * 12 + ("y",) * 8})
    features = shop.features()
    half = 1 / math.sqrt(2)
    assert features.shape == (20, 4)
    assert features[0] == pytest.approx([half, 0, half, 1])
    assert features[10] == pytest.approx([0, half, half, 1])
    assert features[19] == pytest.approx([0, 1, 0, 1])


def test_an_item_in_small_groups_alone_has_the_constant_alone():
    shop = Catalogue(("bread", "milk"), {"hall": ("a", "b")})
    assert np.array_equal(shop.features(), np.ones((2, 1)))


@pytest.mark.parametrize(
    ("items", "levels"), [((), {}), (("tea", "tea"), {}), (("tea",), {"hall": ("a", "b")})]
)
def test_a_catalogue_that_cannot_be_is_refused(items, levels):
    with pytest.raises(ModelError):
        Catalogue(items, levels)
