"""The signature of requests to S3: the examples of Amazon's documents.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

from datetime import UTC, datetime
from hashlib import sha256

import pytest
from pydantic import SecretStr

from assistant.store.database import S3Settings
from assistant.store.s3 import signed

SETTINGS = S3Settings(
    endpoint="https://examplebucket.s3.amazonaws.com",
    bucket="examplebucket",
    key_id="AKIAIOSFODNN7EXAMPLE",
    secret=SecretStr("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
)
AT = datetime(2013, 5, 24, tzinfo=UTC)
HOST = {"host": "examplebucket.s3.amazonaws.com"}


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "signature"),
    [
        (
            "GET",
            "/test.txt",
            {**HOST, "range": "bytes=0-9"},
            b"",
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            "PUT",
            "/test%24file.text",
            {**HOST, "date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
            b"Welcome to Amazon S3.",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
    ],
)
def test_it_is_the_one_of_the_documents(method: str, path: str, headers: dict[str, str], body: bytes, signature: str) -> None:
    found = signed(method, path, headers, sha256(body).hexdigest(), AT, SETTINGS)["authorization"]
    assert found.endswith(f",Signature={signature}")
    assert found.startswith("AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=")
