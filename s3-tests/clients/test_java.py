"""The AWS SDK for Java v2 with its transfer manager, alone and on the AWS Common Runtime: the tests in java/."""

import pytest

import suites

pytestmark = pytest.mark.large


@pytest.fixture(scope="module")
def suite(programs, server, tls, certificate, work):
    return suites.of_java(programs, suites.environment(server, tls, certificate), work)


@pytest.mark.parametrize("name", suites.names(r"@Test\n +void (\w+)", (suites.HERE / "java").glob("*Test.java")))
def test_java_sdk(suite, name):
    suite.check(name)
