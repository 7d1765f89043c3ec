import pytest
from sqlalchemy import func, select

from covey_consent.storage.models import Issuance

YEAR = 365 * 86400


@pytest.mark.compliance("GDPR 5(1)(e)", "what nobody needs any more is deleted: a batch counts for a year")
def test_an_issuance_is_forgotten_when_no_cap_counts_it(shop):
    shop.tickets(shop.phone(), shop.issuer("core"))
    registry = shop.http.app.state.registry

    def kept():
        count = select(func.count()).select_from(Issuance)
        return shop.http.portal.call(registry.store.read, lambda session: session.scalar(count))

    for seconds, expected in ((0, 1), (YEAR - 7200, 1), (7200 + 3600, 0)):
        shop.clock.now += seconds
        shop.http.portal.call(registry.upkeep.once)
        assert kept() == expected
