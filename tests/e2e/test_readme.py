"""What the README shows works as shown."""

import io
import re
from contextlib import redirect_stdout
from pathlib import Path

import covey_sdk
from covey_simulations import orders

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")


def test_the_sdk_in_twelve_lines(small_shop, tmp_path, monkeypatch):
    shop = small_shop(count=20)
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len([line for line in code.splitlines() if line.strip()]) == 12
    order = {
        "type": "order_paid",
        "order_id": "A-1",
        "at_ms": int(orders.CUT.timestamp() * 1000),
        "tz_offset_min": -300,
        "currency": "USD",
        "total_minor": 4500,
        "lines": [{"item_id": "7", "category": "tea", "paid_minor": 4500}],
    }
    monkeypatch.chdir(tmp_path)
    opened = covey_sdk.Device.open.__func__
    now = lambda: shop.clock.moment(orders.ZONE)  # noqa: E731  # one expression, used once
    monkeypatch.setattr(
        covey_sdk.Device, "open", classmethod(lambda cls, *a, **k: opened(cls, *a, clock=now, **k))
    )
    trust = shop.world.trust
    names = {"OPERATOR": trust.operator, "REGISTRY": trust.registry, "URL": shop.world.registry_url}
    with redirect_stdout(io.StringIO()) as said:
        exec(code, {**names, "KEY": bytes(32), "ORDER": order})  # noqa: S102  # the README's own code
    assert "rfm.segment general_develop" in said.getvalue()
