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

    def stream(service, method, requests):
        """One response a request, in order, over a two-way stream."""
        stub = channel.stream_stream(
            f"/{PACKAGE}.{service}/{method}",
            request_serializer=lambda m: m.SerializeToString(),
            response_deserializer=message(f"{method}Response").FromString,
        )
        return list(stub(iter(requests), timeout=20))

    def row(name):
        domain = message("Identifier")(kind=value("IdentifierKind", "IDENTIFIER_KIND_DOMAIN"), value=name)
        return message("Submission")(audience="all", identifiers=[domain], statement=statement)

    names = ["first-outlet.test", "second-outlet.test", "no domain", "fourth-outlet.test"]
    submitted = stream("SignalService", "SubmitSignals", [message("SubmitSignalsRequest")(submission=row(n)) for n in names])
    assert [response.WhichOneof("result") for response in submitted] == ["receipt", "receipt", "error", "receipt"]
    assert submitted[2].error.code and submitted[2].error.field == "identifiers[0].value"
    assert "no domain" not in submitted[2].error.message
    asked = [message("CheckSellersRequest")(identifiers=row(n).identifiers) for n in names]
    answers = stream("ScreeningService", "CheckSellers", asked)
    assert [response.WhichOneof("result") for response in answers] == ["answer", "answer", "error", "answer"]
    for given, found in zip(submitted, answers):
        assert [match.signal for match in found.answer.own] == ([given.receipt.signal] if given.HasField("receipt") else [])
    assert answers[0].HasField("freshness"), "the first answer says how fresh it is"

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
