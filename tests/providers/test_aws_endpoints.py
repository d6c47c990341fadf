"""Where boto3 sends what the pack for AWS is about: nothing may pass by at an endpoint that its options choose."""

from __future__ import annotations

from itertools import product
from urllib.parse import urlsplit

import pytest

from ledger_rules import loads

botocore = pytest.importorskip("botocore.session", reason="botocore, what boto3 is made of, is not installed")
session_config = pytest.importorskip("botocore.config").Config

SERVICES = ("ecs", "lambda", "ses", "sesv2", "sns", "sqs", "stepfunctions")
REGIONS = ("us-east-1", "eu-central-1", "ap-southeast-5", "us-gov-west-1", "cn-north-1")
VARIANTS = ({}, {"use_fips_endpoint": True}, {"use_dualstack_endpoint": True})
"""What botocore's Config may say of an endpoint. China has none for FIPS."""


@pytest.mark.parametrize("service", SERVICES)
def test_each_region_has_its_endpoint_covered_also_fips_and_dual_stack(service: str) -> None:
    session = botocore.get_session()
    rules = loads("packs: [aws]")
    for region, variant in product(REGIONS, VARIANTS):
        if region.startswith("cn-") and "use_fips_endpoint" in variant:
            continue
        keys = {"aws_access_key_id": "AKIA", "aws_secret_access_key": "x"}
        client = session.create_client(service, region, config=session_config(**variant), **keys)
        host = urlsplit(client.meta.endpoint_url).hostname
        assert rules.intercepts(host, 443), host
