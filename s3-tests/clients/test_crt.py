"""The S3 client of the AWS Common Runtime, which aws-cli version 2 and boto3 may use for transfers:
uploads of parts with CRC32 trailers, and downloads by ranges in parallel."""

import io

import pytest
from botocore.session import Session
from s3transfer.crt import (
    BotocoreCRTCredentialsWrapper,
    BotocoreCRTRequestSerializer,
    CRTTransferManager,
    create_s3_crt_client,
)

from harness import ACCESS_KEY, REGION, SECRET_KEY, same


@pytest.fixture(scope="module")
def transfers(server):
    session = Session()
    session.set_credentials(ACCESS_KEY, SECRET_KEY)
    options = {"region_name": REGION, "endpoint_url": server.endpoint}
    credentials = BotocoreCRTCredentialsWrapper(session.get_credentials())
    client = create_s3_crt_client(REGION, credentials.to_crt_credentials_provider(), use_ssl=False)
    with CRTTransferManager(client, BotocoreCRTRequestSerializer(session, options)) as manager:
        yield manager


def test_files_of_every_size(transfers, bucket, files):
    folder, tree = files
    for name in tree:
        transfers.upload(str(folder / name), bucket, name).result()
    for name, data in tree.items():
        body = io.BytesIO()
        transfers.download(bucket, name, body).result()
        assert same(body.getvalue(), data), name
