//! Members share signals over real nodes: what one states, the others find, and nobody finds more than it may.

use countermark::domain::{MemberState, Role};
use countermark::rpc::proto::{self, FeedState, IdentifierKind as Kind, SignalStatus, Verdict};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::cluster::{Alliance, eventually, identifier, member, statement, submission};
use crate::{THREE, code};

#[tokio::test(flavor = "multi_thread")]
async fn what_one_member_states_the_others_find_by_any_strong_identifier() {
    let (alliance, sockets) = Alliance::new(&THREE).await;
    let nodes = alliance.start_all(sockets).await;
    let mut aurelle = alliance.client("aurelle").await;
    let mut bazaar = alliance.client("bazaar").await;
    let phone = identifier(Kind::Phone, "+86 138 0013 8000");
    let seller = vec![phone, identifier(Kind::BusinessLicence, "91110000600037341L"), identifier(Kind::LegalName, "Shop Ltd")];
    let receipt = aurelle.submit(submission("all", seller)).await.expect("taken");
    assert_eq!((receipt.signal.as_str(), receipt.created), ("aurelle/all/0", true));
    let mut again = bazaar.clone();
    eventually("the signal reaches the platform", || {
        let mut bazaar = again.clone();
        async move { bazaar.size("aurelle", "all").await == 1 }
    })
    .await;

    let asked = vec![identifier(Kind::Domain, "unknown-shop.test"), identifier(Kind::Phone, "008613800138000")];
    let refused = again.check(asked).await.expect_err("a national number without a region");
    assert_eq!(code(&refused), (Code::InvalidArgument, "PHONE_NEEDS_REGION".into()));
    assert!(!refused.message().contains("138"), "{}", refused.message());

    let asked = vec![identifier(Kind::Domain, "unknown-shop.test"), identifier(Kind::Phone, "+86-138-0013-8000")];
    let answer = bazaar.check(asked).await.expect("answered");
    assert_eq!((answer.verdict(), answer.members_elsewhere), (Verdict::Alleged, 1));
    let found = &answer.elsewhere[0];
    assert_eq!((found.signal.as_str(), found.member.as_str(), found.counts), ("aurelle/all/0", "aurelle", true));
    assert_eq!((found.matched.len(), found.matched[0].index, found.matched[0].kind()), (1, 1, Kind::Phone));

    let by_name = bazaar.check(vec![identifier(Kind::LegalName, "SHOP  LTD")]).await.expect("answered");
    assert_eq!((by_name.verdict(), by_name.members_elsewhere), (Verdict::NoneKnown, 0), "a name alone flags nobody");
    assert_eq!((by_name.elsewhere.len(), by_name.elsewhere[0].counts), (1, false));

    let own = aurelle.check(vec![identifier(Kind::BusinessLicence, "91110000600037341l")]).await.expect("answered");
    assert_eq!((own.members_elsewhere, own.own.len(), own.elsewhere.len()), (0, 1, 0), "own flags are kept apart");

    let request = proto::GetCheckRequest { reference: answer.reference.clone() };
    let past = bazaar.screening.get_check(request).await.expect("read again").into_inner();
    assert_eq!(past.answer.expect("an answer"), answer);
    assert_eq!(past.kinds, vec![i32::from(Kind::Domain), i32::from(Kind::Phone)]);
    for node in nodes.into_values() {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retraction_clears_the_seller_everywhere_and_a_resubmission_does_not_bring_it_back() {
    let (alliance, sockets) = Alliance::new(&THREE).await;
    let _nodes = alliance.start_all(sockets).await;
    let mut aurelle = alliance.client("aurelle").await;
    let mut kestrel = alliance.client("kestrel").await;
    let seller = || vec![identifier(Kind::Domain, "outlet-17.test")];
    let with_id = proto::Submission { submission_id: "case-17".into(), ..submission("all", seller()) };
    let first = aurelle.submit(with_id.clone()).await.expect("taken");
    let again = aurelle.submit(with_id.clone()).await.expect("taken");
    assert_eq!((again.signal.as_str(), again.created), (first.signal.as_str(), false));
    let mut other = with_id.clone();
    other.identifiers.push(identifier(Kind::Email, "x@outlet-17.test"));
    let refused = aurelle.submit(other).await.expect_err("the id is taken");
    assert_eq!(code(&refused), (Code::AlreadyExists, "SUBMISSION_ID_REUSED".into()));

    let by_id = proto::RetractSignalRequest {
        target: Some(proto::retract_signal_request::Target::SubmissionId("case-17".into())),
        audience: "all".into(),
        reason: proto::RetractionReason::MistakenIdentity.into(),
    };
    let gone = aurelle.signals.retract_signal(by_id.clone()).await.expect("withdrawn").into_inner();
    assert_eq!((gone.signal.as_str(), gone.newly_withdrawn), (first.signal.as_str(), true));
    assert!(!aurelle.signals.retract_signal(by_id).await.expect("idempotent").into_inner().newly_withdrawn);
    let resubmitted = aurelle.submit(with_id).await.expect("answered");
    assert_eq!((resubmitted.created, resubmitted.status()), (false, SignalStatus::Withdrawn));

    let foreign = proto::RetractSignalRequest {
        target: Some(proto::retract_signal_request::Target::Signal(first.signal.clone())),
        audience: String::new(),
        reason: proto::RetractionReason::Other.into(),
    };
    let refused = kestrel.signals.retract_signal(foreign).await.expect_err("another member's");
    assert_eq!(code(&refused), (Code::PermissionDenied, "SIGNAL_NOT_OWN".into()));

    let follower = kestrel.clone();
    eventually("the retraction arrives", || {
        let mut kestrel = follower.clone();
        async move { kestrel.size("aurelle", "all").await == 2 }
    })
    .await;
    let answer = kestrel.check(seller()).await.expect("answered");
    assert_eq!((answer.verdict(), answer.elsewhere.len()), (Verdict::NoneKnown, 0));
    let record = kestrel.signals.get_signal(proto::GetSignalRequest { signal: first.signal }).await.expect("readable");
    let record = record.into_inner().record.expect("a record");
    assert_eq!(record.status(), SignalStatus::Withdrawn);
    assert_eq!(record.retraction_reason(), proto::RetractionReason::MistakenIdentity);
    // A new statement about the same seller is a new signal.
    let anew = proto::Submission { submission_id: "case-18".into(), ..submission("all", seller()) };
    assert!(aurelle.submit(anew).await.expect("taken").created);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_shares_with_its_members_only() {
    let (mut alliance, sockets) = Alliance::new(&THREE).await;
    alliance.group("makers", &["aurelle", "kestrel"]);
    let _nodes = alliance.start_all(sockets).await;
    let mut aurelle = alliance.client("aurelle").await;
    let mut kestrel = alliance.client("kestrel").await;
    let mut bazaar = alliance.client("bazaar").await;
    let seller = || vec![identifier(Kind::Domain, "quiet-shop.test")];
    aurelle.submit(submission("makers", seller())).await.expect("taken");
    aurelle.submit(submission("all", vec![identifier(Kind::Domain, "loud-shop.test")])).await.expect("taken");
    let (in_group, outside) = (kestrel.clone(), bazaar.clone());
    eventually("the group's signal arrives in the group, and the alliance's everywhere", || {
        let (mut kestrel, mut bazaar) = (in_group.clone(), outside.clone());
        async move { kestrel.size("aurelle", "makers").await == 1 && bazaar.size("aurelle", "all").await == 1 }
    })
    .await;
    assert_eq!(kestrel.check(seller()).await.expect("answered").members_elsewhere, 1);
    assert_eq!(bazaar.check(seller()).await.expect("answered").elsewhere.len(), 0);
    let feeds = bazaar.status().await.freshness.expect("freshness").feeds;
    assert!(feeds.iter().all(|f| f.audience == "all"), "a stranger's node does not even list the group");
    for audience in ["makers", "nobody", ""] {
        let refused = bazaar.submit(submission(audience, seller())).await.expect_err("not its audience");
        assert_eq!(refused.code(), Code::InvalidArgument, "{audience}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_row_spoils_nothing_and_answers_come_in_order() {
    let (alliance, sockets) = Alliance::new(&THREE[..2]).await;
    let _nodes = alliance.start_all(sockets).await;
    let mut aurelle = alliance.client("aurelle").await;
    let rows: Vec<_> = (0..3_000)
        .map(|i| match i % 3 {
            0 => submission("all", vec![identifier(Kind::Domain, &format!("shop-{i}.test"))]),
            1 => submission("all", vec![identifier(Kind::Domain, "co.uk")]),
            _ => proto::Submission { statement: None, ..submission("all", vec![identifier(Kind::Domain, "x.test")]) },
        })
        .collect();
    let results = aurelle.submit_all(rows).await;
    assert_eq!(results.len(), 3_000);
    for (i, result) in results.iter().enumerate() {
        let outcome = result.as_ref().map(|r| r.created).map_err(|e| (e.code.as_str(), e.field.as_str()));
        let expected = match i % 3 {
            0 => Ok(true),
            1 => Err(("DOMAIN_IS_PUBLIC_SUFFIX", "identifiers[0].value")),
            _ => Err(("FIELD_MISSING", "statement")),
        };
        assert_eq!(outcome, expected, "row {i}");
    }
    let asked = (0..3_000).map(|i| vec![identifier(Kind::Domain, &format!("shop-{i}.test"))]).collect();
    let answers = aurelle.check_all(asked).await;
    for (i, answer) in answers.iter().enumerate() {
        assert_eq!(answer.as_ref().expect("answered").own.len(), usize::from(i % 3 == 0), "row {i}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_do_what_their_roles_allow_and_no_more() {
    let (mut alliance, sockets) = Alliance::new(&THREE[..2]).await;
    alliance.grant("aurelle", "screener", &[Role::Check]);
    let _nodes = alliance.start_all(sockets).await;
    let channel = alliance.channel("aurelle", "screener").await;
    let mut signals = proto::signal_service_client::SignalServiceClient::new(channel.clone());
    let mut screening = proto::screening_service_client::ScreeningServiceClient::new(channel);
    let request = proto::SubmitSignalRequest { submission: Some(submission("all", vec![identifier(Kind::Domain, "a.test")])) };
    let refused = signals.submit_signal(request).await.expect_err("no such role");
    assert_eq!(code(&refused), (Code::PermissionDenied, "ROLE_MISSING".into()));
    let identifiers = vec![identifier(Kind::Domain, "a.test")];
    assert!(screening.check_seller(proto::CheckSellerRequest { identifiers, watch: None }).await.is_ok());
    // A client with a good certificate that the configuration does not list may do nothing, not even ask for the node's health.
    let refused = alliance.try_channel("aurelle", "stranger").await.expect_err("not listed");
    assert_eq!(refused.code(), "PEER_REFUSED_IDENTITY");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_away_catches_up_also_from_a_third_member() {
    let (alliance, sockets) = Alliance::new(&THREE).await;
    let mut nodes = alliance.start_all(sockets).await;
    let mut aurelle = alliance.client("aurelle").await;
    nodes.remove(&member("kestrel")).expect("runs").stop().await;
    let rows = (0..5_000).map(|i| submission("all", vec![identifier(Kind::Domain, &format!("away-{i}.test"))])).collect();
    assert!(aurelle.submit_all(rows).await.iter().all(Result::is_ok));
    let bazaar = alliance.client("bazaar").await;
    eventually("the platform has everything", || {
        let mut bazaar = bazaar.clone();
        async move { bazaar.size("aurelle", "all").await == 5_000 }
    })
    .await;
    // Now the author goes, and the one who was away comes back.
    nodes.remove(&member("aurelle")).expect("runs").stop().await;
    let _kestrel = alliance.start("kestrel", None).await.expect("starts");
    let kestrel = alliance.client("kestrel").await;
    eventually("the rest comes from the platform", || {
        let mut kestrel = kestrel.clone();
        async move { kestrel.size("aurelle", "all").await == 5_000 }
    })
    .await;
    let digests = [kestrel.clone(), bazaar].map(|mut client| async move { client.status().await.view_digest });
    let [a, b] = digests;
    assert_eq!(a.await, b.await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expelled_member_is_cut_off_and_counts_no_more() {
    let (mut alliance, sockets) = Alliance::new(&THREE).await;
    let mut nodes = alliance.start_all(sockets).await;
    let mut aurelle = alliance.client("aurelle").await;
    let mut bazaar = alliance.client("bazaar").await;
    let seller = || vec![identifier(Kind::Domain, "flagged.test")];
    aurelle.submit(submission("all", seller())).await.expect("taken");
    let follower = bazaar.clone();
    eventually("the signal arrives", || {
        let mut bazaar = follower.clone();
        async move { bazaar.size("aurelle", "all").await == 1 }
    })
    .await;
    assert_eq!(bazaar.check(seller()).await.expect("answered").members_elsewhere, 1);
    // The platform's operator is given the roster that expels; the other member learns of it from the platform.
    alliance.amend(|roster| {
        roster.members.iter_mut().filter(|m| m.id.as_str() == "aurelle").for_each(|m| m.state = MemberState::Expelled);
    });
    nodes.remove(&member("bazaar")).expect("runs").stop().await;
    let _restarted = alliance.start("bazaar", None).await.expect("starts");
    let mut bazaar = alliance.client("bazaar").await;
    let answer = bazaar.check(seller()).await.expect("answered");
    assert_eq!((answer.verdict(), answer.members_elsewhere), (Verdict::NoneKnown, 0));
    assert_eq!((answer.elsewhere.len(), answer.elsewhere[0].counts), (1, false), "shown, and not counted");
    let kestrel = alliance.client("kestrel").await;
    eventually("the roster spreads", || {
        let mut kestrel = kestrel.clone();
        async move { kestrel.status().await.roster_serial == 2 }
    })
    .await;
    let feeds = bazaar.status().await.freshness.expect("freshness").feeds;
    let state = feeds.iter().find(|f| f.member == "aurelle").expect("listed").state();
    assert_eq!(state, proto::FeedState::Expelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_roster_never_goes_back_also_over_a_restart_with_the_old_file() {
    let (mut alliance, sockets) = Alliance::new(&THREE[..2]).await;
    let mut nodes = alliance.start_all(sockets).await;
    let old = alliance.setup("aurelle");
    nodes.remove(&member("aurelle")).expect("runs").stop().await;
    alliance.amend(|_| {});
    let node = alliance.start("aurelle", None).await.expect("starts");
    assert_eq!(alliance.client("aurelle").await.status().await.roster_serial, 2);
    node.stop().await;
    let listeners = countermark::daemon::Listeners {
        peers: tokio::net::TcpListener::bind(alliance.membership("aurelle").peers).await.expect("its address"),
        clients: tokio::net::TcpListener::bind(alliance.membership("aurelle").clients).await.expect("its address"),
        monitoring: None,
    };
    let _node = countermark::daemon::Node::start(old, listeners).await.expect("starts");
    assert_eq!(alliance.client("aurelle").await.status().await.roster_serial, 2, "the store's is newer");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_in_a_signal_is_told_by_field_and_code() {
    let (alliance, sockets) = Alliance::new(&THREE[..2]).await;
    let _nodes = alliance.start_all(sockets).await;
    let mut aurelle = alliance.client("aurelle").await;
    let good = || submission("all", vec![identifier(Kind::Domain, "shop.test")]);
    let with = |change: &dyn Fn(&mut proto::Submission)| {
        let mut row = good();
        change(&mut row);
        row
    };
    let with_statement = |change: &dyn Fn(&mut proto::Statement)| {
        let mut statement = statement();
        change(&mut statement);
        proto::Submission { statement: Some(statement), ..good() }
    };
    let cases = [
        (with(&|s| s.identifiers.clear()), "IDENTIFIER_COUNT", "identifiers"),
        (with(&|s| s.identifiers = vec![identifier(Kind::LegalName, "A Name")]), "IDENTIFIERS_ALL_WEAK", "identifiers"),
        (with(&|s| s.identifiers[0].kind = 99), "IDENTIFIER_KIND_UNKNOWN", "identifiers[0].kind"),
        (with(&|s| s.identifiers[0].kind = 0), "IDENTIFIER_KIND_UNKNOWN", "identifiers[0].kind"),
        (with(&|s| s.identifiers[0].value = "tmall.com".into()), "DOMAIN_IS_PLATFORM", "identifiers[0].value"),
        (with(&|s| s.submission_id = "x".repeat(129)), "SUBMISSION_ID_INVALID", "submission_id"),
        (with(&|s| s.audience = String::new()), "AUDIENCE_INVALID", "audience"),
        (with_statement(&|s| s.infringement = 0), "INFRINGEMENT_UNKNOWN", "statement.infringement"),
        (with_statement(&|s| s.evidence.clear()), "EVIDENCE_COUNT", "statement.evidence"),
        (with_statement(&|s| s.observed_on = "2999-01-01".into()), "DATE_OUT_OF_RANGE", "statement.observed_on"),
    ];
    for (row, expected, field) in cases {
        let refused = aurelle.submit(row).await.expect_err(expected);
        assert_eq!(code(&refused), (Code::InvalidArgument, expected.into()), "{}", refused.message());
        let details = refused.get_details_bad_request().expect("a field");
        assert_eq!(details.field_violations[0].field, field);
    }
    let too_large = with(&|s| s.identifiers = vec![identifier(Kind::Url, &"x".repeat(300_000))]);
    let refused = aurelle.submit(too_large).await.expect_err("beyond the bound of a message");
    assert_eq!(code(&refused), (Code::ResourceExhausted, "MESSAGE_TOO_LARGE".into()), "{}", refused.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn with_every_peer_gone_checks_are_answered_and_say_how_old_they_are() {
    let (alliance, sockets) = Alliance::new(&THREE).await;
    let mut nodes = alliance.start_all(sockets).await;
    let mut aurelle = alliance.client("aurelle").await;
    let mut bazaar = alliance.client("bazaar").await;
    let seller = || vec![identifier(Kind::Domain, "outlet-9.test")];
    aurelle.submit(submission("all", seller())).await.expect("taken");
    let waiting = bazaar.clone();
    eventually("the signal reaches the platform, and both peers were heard", || {
        let mut bazaar = waiting.clone();
        async move {
            let kestrel = bazaar.feed("kestrel", "all").await.expect("listed");
            bazaar.size("aurelle", "all").await == 1 && kestrel.last_heard_ms > 0
        }
    })
    .await;
    for gone in ["aurelle", "kestrel"] {
        nodes.remove(&member(gone)).expect("running").stop().await;
    }
    let gone_at = bazaar.status().await.freshness.expect("freshness").as_of_ms;
    // Two answers, the second after so long that nothing of it could be the first one's word.
    let mut ages = Vec::new();
    for pause_ms in [0, 1_500] {
        let waiting = bazaar.clone();
        eventually("time passes", || {
            let mut bazaar = waiting.clone();
            async move { bazaar.status().await.freshness.expect("freshness").as_of_ms >= gone_at + pause_ms }
        })
        .await;
        let request = proto::CheckSellerRequest { identifiers: seller(), watch: None };
        let response = bazaar.screening.check_seller(request).await.expect("answered").into_inner();
        let (answer, freshness) = (response.answer.expect("an answer"), response.freshness.expect("freshness"));
        assert_eq!((answer.verdict(), answer.members_elsewhere), (Verdict::Alleged, 1));
        let of = |name: &str| freshness.feeds.iter().find(|f| f.member == name && f.audience == "all").expect("listed");
        let silent = of("aurelle");
        assert_eq!((silent.size, silent.newest_size, silent.state()), (1, 1, FeedState::Followed));
        assert!(silent.last_heard_ms > 0 && silent.last_heard_ms <= gone_at, "it was last heard before it went");
        assert_eq!((of("kestrel").size, of("kestrel").newest_size), (0, 0), "a feed without entries is listed too");
        assert_eq!(of("bazaar").last_heard_ms, freshness.as_of_ms, "the own feed is as fresh as the answer");
        ages.push(freshness.as_of_ms - silent.last_heard_ms);
    }
    assert!(ages[1] >= ages[0] + 1_000, "the word of a silent member grows old: {ages:?}");
    let status = bazaar.status().await;
    assert!(status.peers.iter().all(|peer| !peer.connected && !peer.last_error.is_empty()), "{:?}", status.peers);
}
