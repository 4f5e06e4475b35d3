"""A foreign client: learns the services by reflection over mutual TLS, submits a signal, checks the seller, reads the status.

Usage: python_client.py ADDRESS SERVER_NAME CA CERTIFICATE KEY
"""

import sys

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

PACKAGE = "countermark.v1"


def read(path):
    with open(path, "rb") as file:
        return file.read()


def main(address, server_name, ca, certificate, key):
    credentials = grpc.ssl_channel_credentials(read(ca), read(key), read(certificate))
    channel = grpc.secure_channel(address, credentials, [("grpc.ssl_target_name_override", server_name)])
    database = ProtoReflectionDescriptorDatabase(channel)
    services = set(database.get_services())
    expected = {f"{PACKAGE}.{name}Service" for name in ("Signal", "Screening", "Node")}
    assert expected <= services, f"reflection lists {services}"
    pool = DescriptorPool(database)

    def message(name):
        return GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))

    def value(enum, name):
        return pool.FindEnumTypeByName(f"{PACKAGE}.{enum}").values_by_name[name].number

    def call(service, method, request):
        response = message(f"{method}Response")
        stub = channel.unary_unary(
            f"/{PACKAGE}.{service}/{method}",
            request_serializer=lambda m: m.SerializeToString(),
            response_deserializer=response.FromString,
        )
        return stub(request, timeout=20)

    health = health_pb2_grpc.HealthStub(channel).Check(
        health_pb2.HealthCheckRequest(service=f"{PACKAGE}.SignalService"), timeout=20
    )
    assert health.status == health_pb2.HealthCheckResponse.SERVING

    identifier = message("Identifier")(kind=value("IdentifierKind", "IDENTIFIER_KIND_PHONE"), value="+1 202 555 0143")
    statement = message("Statement")(
        infringement=value("Infringement", "INFRINGEMENT_TRADEMARK_COUNTERFEIT"),
        evidence=[message("Evidence")(kind=value("EvidenceKind", "EVIDENCE_KIND_COURT_JUDGMENT"))],
    )
    submission = message("Submission")(audience="all", identifiers=[identifier], statement=statement)
    receipt = call("SignalService", "SubmitSignal", message("SubmitSignalRequest")(submission=submission)).receipt
    assert receipt.created and receipt.status == value("SignalStatus", "SIGNAL_STATUS_CONFIRMED")
    answer = call("ScreeningService", "CheckSeller", message("CheckSellerRequest")(identifiers=[identifier])).answer
    assert [match.signal for match in answer.own] == [receipt.signal]
    assert answer.verdict == value("Verdict", "VERDICT_CONFIRMED")
    status = call("NodeService", "GetStatus", message("GetStatusRequest")())
    assert status.own_live_signals == 1

    bad = message("Submission")(audience="", identifiers=[identifier], statement=statement)
    try:
        call("SignalService", "SubmitSignal", message("SubmitSignalRequest")(submission=bad))
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT and b"AUDIENCE_INVALID" in dict(error.trailing_metadata())[
            "grpc-status-details-bin"
        ]
    else:
        raise AssertionError("an empty audience was taken")
    print("the Python client is content")


if __name__ == "__main__":
    main(*sys.argv[1:])
