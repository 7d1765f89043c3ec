"""One process makes many applications: each has routes of its own."""

from fastapi.routing import APIRoute

from covey_consent.app import ROUTERS, create_app


def served():
    return [(route, route.app) for module in ROUTERS for route in module.router.routes]


def test_making_an_application_leaves_what_applications_share_as_it_was():
    before = served()
    apps = [create_app(), create_app()]
    assert served() == before
    first, second = (
        {(route.path, *route.methods): route for route in app.router.routes if isinstance(route, APIRoute)}
        for app in apps
    )
    assert first.keys() == second.keys()
    assert len(first) > 80
    assert not {id(route) for route in first.values()} & {id(route) for route in second.values()}
