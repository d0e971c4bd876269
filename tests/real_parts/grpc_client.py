"""Calls a health service, and prints what it has seen as JSON.

Arguments: the address, the mode, and the number of calls. Modes:

once          makes each call once
retry_policy  lets the channel retry, by its service config
retry_info    repeats a call that is refused after the wait of its RetryInfo
"""

import json
import sys
import time

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

RETRY_POLICY = {
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.01s",
                "maxBackoff": "0.01s",
                "backoffMultiplier": 1,
                "retryableStatusCodes": ["RESOURCE_EXHAUSTED"],
            },
        }
    ]
}


def retry_delay_ns(refusal):
    """Returns the wait in the details of a refusal, or None."""
    for detail in rpc_status.from_call(refusal).details:
        info = error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            return info.retry_delay.ToNanoseconds()
    return None


def describe(refusal):
    fields = dict(refusal.trailing_metadata())
    return {
        "code": refusal.code().name,
        "message": refusal.details(),
        "retry_delay_ns": retry_delay_ns(refusal),
        "pushback_ms": fields.get("grpc-retry-pushback-ms"),
    }


def call_each(check, calls):
    """Returns what came of each call."""
    seen = []
    for _ in range(calls):
        try:
            check(b"", timeout=60)
            seen.append({"code": "OK"})
        except grpc.RpcError as refusal:
            seen.append(describe(refusal))
    return seen


def call_patiently(check, calls):
    """Returns how many calls were admitted and refused."""
    admitted = refused = 0
    while admitted < calls:
        try:
            check(b"", timeout=60)
            admitted += 1
        except grpc.RpcError as refusal:
            refused += 1
            time.sleep(retry_delay_ns(refusal) / 1e9)
    return [admitted, refused]


def main():
    address, mode, calls = sys.argv[1], sys.argv[2], int(sys.argv[3])
    options = [("grpc.enable_http_proxy", 0)]
    if mode == "retry_policy":
        options.append(("grpc.service_config", json.dumps(RETRY_POLICY)))
    with grpc.insecure_channel(address, options) as channel:
        # Messages without fields are empty, so no generated code is needed.
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        call = call_patiently if mode == "retry_info" else call_each
        print(json.dumps(call(check, calls)))


main()
