//! A case handler takes a signal back, and hands none in.

use countermark::domain::{MemberKind, Role};
use countermark::rpc::proto::signal_service_client::SignalServiceClient;
use countermark::rpc::proto::{
    IdentifierKind as Kind, RetractSignalRequest, RetractionReason, SubmitSignalRequest, retract_signal_request,
};
use tonic::Code;

use crate::cluster::{Alliance, identifier, submission};

#[tokio::test(flavor = "multi_thread")]
async fn a_case_handler_retracts_and_does_not_submit() {
    let (mut alliance, sockets) = Alliance::new(&[("aurelle", MemberKind::Brand)]).await;
    alliance.grant("aurelle", "case-desk", &[Role::Cases]);
    let _nodes = alliance.start_all(sockets).await;
    let seller = || submission("all", vec![identifier(Kind::Domain, "cleared.test")]);
    let receipt = alliance.client("aurelle").await.submit(seller()).await.expect("taken");
    let mut desk = SignalServiceClient::new(alliance.channel("aurelle", "case-desk").await);
    let refused = desk.submit_signal(SubmitSignalRequest { submission: Some(seller()) }).await.expect_err("no such role");
    assert_eq!(refused.code(), Code::PermissionDenied);
    let mut request = RetractSignalRequest {
        target: Some(retract_signal_request::Target::Signal(receipt.signal)),
        audience: "all".into(),
        reason: RetractionReason::MistakenIdentity.into(),
    };
    let refused = desk.retract_signal(request.clone()).await.expect_err("the name says the audience");
    assert_eq!(refused.code(), Code::InvalidArgument);
    request.audience.clear();
    assert!(desk.retract_signal(request).await.expect("withdrawn").into_inner().newly_withdrawn);
}
