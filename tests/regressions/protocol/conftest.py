from shared_fixtures import fixtures_of

globals().update(fixtures_of("malicious"))
