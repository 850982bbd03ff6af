"""The AWS SDK for JavaScript v3, with lib-storage's Upload and the presigner: the tests in js/."""

import pytest

import suites


@pytest.fixture(scope="module")
def suite(programs, server, tls, certificate, work):
    return suites.of_js(programs, suites.environment(server, tls, certificate), work)


@pytest.mark.parametrize("name", suites.names(r'^check\("([^"]+)"', (suites.HERE / "js").glob("*.test.mjs")))
def test_js_sdk(suite, name):
    suite.check(name)
