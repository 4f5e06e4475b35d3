//! A receiver of alerts gets what Standard Webhooks describes, over TLS 1.3 from a CA that was named, or nothing.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::domain::{AlertKind, Timestamp, Verdict, WatchId};

struct StandingStill;

impl Clock for StandingStill {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(1_700_000_000_123)
    }
}

/// A receiver that answers each post with the next of some status lines.
struct Receiver {
    ca: String,
    port: u16,
    posts: tokio::sync::mpsc::Receiver<String>,
    _serving: AbortOnDropHandle<()>,
}

async fn receiver(answers: &'static [&'static str]) -> Receiver {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a CA");
    let key = KeyPair::generate().expect("a key");
    let certificate =
        CertificateParams::new(vec!["localhost".to_owned()]).expect("a name").signed_by(&key, &ca).expect("signed");
    let private = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13]).expect("known");
    let tls = tls.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], private).expect("fits");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let (seen, posts) = tokio::sync::mpsc::channel(8);
    let serving = tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        for answer in answers {
            let (socket, _) = listener.accept().await.expect("a caller");
            let Ok(mut stream) = acceptor.accept(socket).await else { continue };
            let mut post = Vec::new();
            let mut piece = [0; 4_096];
            while !post.ends_with(b"}}") {
                match stream.read(&mut piece).await {
                    Ok(0) | Err(_) => break,
                    Ok(read) => post.extend_from_slice(&piece[..read]),
                }
            }
            seen.send(String::from_utf8(post).expect("text")).await.expect("wanted");
            let answer = format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.expect("sent");
        }
    });
    Receiver { ca: ca.pem(), port, posts, _serving: AbortOnDropHandle::new(serving) }
}

fn webhook(port: u16, ca: &str) -> Webhook {
    let url = Url::parse(&format!("https://localhost:{port}/hooks/alerts?for=acme")).expect("a URL");
    Webhook::new(url, ca, &[7; 32], Arc::new(StandingStill)).expect("good")
}

fn alert() -> Alert {
    Alert {
        watch: WatchId(3),
        label: "shop 17".into(),
        kind: AlertKind::NewFlag,
        raised_at: Timestamp::from_unix_ms(1_700_000_000_000),
        before: Standing::UNKNOWN,
        after: Standing { verdict: Verdict::Alleged, members: 1 },
        signal: "acme/all/5".parse().ok(),
        refused: String::new(),
    }
}

const BODY: &str = r#"{"type":"countermark.alert","timestamp":"2023-11-14T22:13:20Z","data":{"alert":"alr_9","watch":"wat_3","label":"shop 17","kind":"new_flag","before":{"verdict":"none_known","members_elsewhere":0},"after":{"verdict":"alleged","members_elsewhere":1},"signal":"acme/all/5"}}"#;

#[tokio::test]
async fn a_post_is_what_a_receiver_verifies() {
    let mut receiver = receiver(&["204 No Content"]).await;
    assert_eq!(webhook(receiver.port, &receiver.ca).deliver(AlertId(9), &alert()).await, Ok(()));
    let post = receiver.posts.recv().await.expect("a post");
    let (head, body) = post.split_once("\r\n\r\n").expect("a head and a body");
    assert_eq!(body, BODY);
    let mut lines = head.lines();
    assert_eq!(lines.next(), Some("POST /hooks/alerts?for=acme HTTP/1.1"));
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).expect("a header");
    assert_eq!(header("host"), format!("localhost:{}", receiver.port));
    assert_eq!((header("content-type"), header("webhook-id")), ("application/json", "alr_9"));
    assert_eq!(header("webhook-timestamp"), "1700000000");
    // As a receiver computes it.
    let key = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
    let signature = hmac::sign(&key, format!("alr_9.1700000000.{body}").as_bytes());
    assert_eq!(header("webhook-signature"), format!("v1,{}", BASE64.encode(signature)));
}

#[tokio::test]
async fn what_the_receiver_answers_decides() {
    let answers = &["400 Bad Request", "429 Too Many Requests", "503 Service Unavailable", "301 Moved Permanently"];
    let mut receiver = receiver(answers).await;
    let webhook = webhook(receiver.port, &receiver.ca);
    for expected in [("WEBHOOK_REFUSED", true), ("WEBHOOK_FAILED", false), ("WEBHOOK_FAILED", false), ("WEBHOOK_FAILED", false)]
    {
        let error = webhook.deliver(AlertId(9), &alert()).await.expect_err("not taken");
        assert_eq!((error.code, error.refused), expected, "{error}");
        receiver.posts.recv().await.expect("a post");
    }
}

#[tokio::test]
async fn nothing_is_told_to_whom_the_ca_does_not_vouch_for() {
    let (mut stranger, other) = (receiver(&["200 OK"]).await, receiver(&[]).await);
    let error = webhook(stranger.port, &other.ca).deliver(AlertId(9), &alert()).await.expect_err("refused");
    assert_eq!((error.code, error.refused), ("WEBHOOK_TLS", false));
    assert!(stranger.posts.try_recv().is_err());
    let nobody = webhook(1, &other.ca).deliver(AlertId(9), &alert()).await.expect_err("refused");
    assert_eq!((nobody.code, nobody.refused), ("WEBHOOK_UNREACHABLE", false));
}
