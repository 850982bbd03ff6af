"""The AWS SDK for Go v2 and its two transfer managers: the tests in go/."""

import pytest

import suites


@pytest.fixture(scope="module")
def suite(programs, server, tls, certificate):
    return suites.of_go(programs, suites.environment(server, tls, certificate))


@pytest.mark.parametrize("name", suites.names(r"^func (Test\w+)", (suites.HERE / "go").glob("*_test.go")))
def test_go_sdk(suite, name):
    suite.check(name)
