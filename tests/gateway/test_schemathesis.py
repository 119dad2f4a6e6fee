"""Whatever fits the OpenAPI document, or nearly fits it, is answered as the document says."""

from __future__ import annotations

import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import checks
from schemathesis.specs.openapi import checks as openapi_checks

from gateway.app import create_app
from gateway.settings import Settings
from tests.gateway.serving import RunningGateway, settings_over

DOCUMENT = create_app(Settings.model_validate(settings_over("http://127.0.0.1:9"))).openapi()
"""Known at collection, so that each operation is a test; that it is the served one is a test as well."""

EXAMPLES = settings(
    max_examples=60,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
CHECKS = (
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_schema_conformance,
)

schema = schemathesis.openapi.from_dict(DOCUMENT)


def test_the_served_document_is_the_one_tested(gateway: RunningGateway) -> None:
    with gateway.client() as client:
        assert client.get("/openapi.json").json() == DOCUMENT


@schema.parametrize()
@EXAMPLES
def test_every_operation_answers_as_documented(case: schemathesis.Case, gateway: RunningGateway) -> None:
    case.call_and_validate(base_url=gateway.url, checks=CHECKS)


@schema.include(method="POST").parametrize()
@settings(EXAMPLES, max_examples=30)
def test_requests_for_models_that_exist_are_answered_as_documented(
    case: schemathesis.Case, gateway: RunningGateway
) -> None:
    if isinstance(case.body, dict):
        case.body["model"] = "swift" if case.path == "/v1/embeddings" else "auto"
    case.call_and_validate(base_url=gateway.url, checks=CHECKS)
