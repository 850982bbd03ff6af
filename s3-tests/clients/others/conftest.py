"""The server of the run, as test_others.py names it, and a bucket of each test's own."""

import itertools
import os

import botocore.session
import pytest

numbers = itertools.count(1)


@pytest.fixture(scope="session")
def endpoint():
    return os.environ["CAIRN_ENDPOINT"]


@pytest.fixture(scope="session")
def address(endpoint):
    return endpoint.removeprefix("http://")


@pytest.fixture(scope="session")
def keys():
    return os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]


@pytest.fixture(scope="session")
def s3(endpoint):
    return botocore.session.get_session().create_client("s3", endpoint_url=endpoint)


@pytest.fixture
def bucket(s3):
    name = f"others-{os.getpid()}-{next(numbers)}"
    s3.create_bucket(Bucket=name)
    return name
