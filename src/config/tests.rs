//! Every way in which a configuration can be wrong has its code, its place and a sentence, and none repeats a secret.

use std::collections::BTreeSet;
use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::num::NonZeroU32;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa,
    KeyIdMethod, KeyPair, KeyUsagePurpose, SanType, SerialNumber, date_time_ymd,
};
use tempfile::TempDir;

use super::document::Kind;
use super::node::KEYS;
use super::*;
use crate::domain::{Role, Roster, Timestamp};
use crate::feed::{SignedRoster, SigningKey};
use crate::rpc::Grant;
use crate::telemetry::HAS_TRACES;

const NODE: &str = include_str!("../../config/node-minimal.toml");
const CLIENT: &str = include_str!("../../config/client.toml");

fn environment(variables: &[(&str, &str)]) -> Environment {
    Environment::of(variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))))
}

/// A folder as that of an operator, with a good configuration and all that it names.
struct Folder(TempDir);

impl Folder {
    /// The configuration alone.
    fn bare(text: &str) -> Self {
        let folder = Self(tempfile::tempdir().expect("a folder"));
        fs::write(folder.path("node.toml"), text).expect("written");
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("written");
        self.mode(name, if name.ends_with(".key") || name.ends_with(".secret") { 0o600 } else { 0o644 });
    }

    fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).expect("set");
    }

    fn load(&self, variables: &[(&str, &str)]) -> Result<LoadedConfig, ConfigError> {
        NodeConfig::load(&self.path("node.toml"), &environment(variables))
    }

    fn load_client(&self) -> Result<LoadedClient, ConfigError> {
        ClientConfig::load(&self.path("client.toml"), &environment(&[]))
    }

    fn whole() -> Self {
        let secretariat = SigningKey::from_seed_text(&BASE64.encode([5; 32])).expect("a seed");
        let sample = NODE.lines().find(|line| line.starts_with("secretariat_key")).expect("a key");
        let trusted = format!("secretariat_key = \"{}\"", String::from(secretariat.public()));
        let folder = Self::bare(&NODE.replace(sample, &trusted));
        fs::create_dir(folder.path("keys")).expect("created");
        let (alliance, clients) = (Ca::new(), Ca::new());
        alliance.issue(&folder, "node", "spiffe://alliance.example/member/acme/node", Some("acme.alliance.example"));
        clients.issue(&folder, "operator", "spiffe://alliance.example/member/acme/client/operator", None);
        folder.write("alliance-ca.pem", &alliance.0.pem());
        folder.write("alliance-crl.pem", &alliance.crl());
        folder.write("client-ca.pem", &clients.0.pem());
        folder.write("feed.key", &SECRETS[0]());
        folder.write("local.secret", &SECRETS[1]());
        folder.write("keys/k1.key", &SECRETS[2]());
        folder.write("keys/readme", "not a key");
        let roster: Roster = toml::from_str(ROSTER).expect("a roster");
        let signed = SignedRoster::sign(roster, &secretariat).expect("signed");
        folder.write("roster.note", std::str::from_utf8(signed.note()).expect("text"));
        folder.write("client.toml", CLIENT);
        folder
    }

    fn refused(&self, variables: &[(&str, &str)]) -> ConfigError {
        let error = match self.load(variables) {
            Ok(loaded) => loaded.materials(NOW).map(|_| ()).expect_err("refused"),
            Err(error) => error,
        };
        assert_shows_no_secret(&error);
        error
    }
}

/// 2026-06-01, within the validity of the certificates here.
const NOW: Timestamp = Timestamp::from_unix_ms(1_780_272_000_000);
const ROSTER: &str = "format = 1\nalliance = \"alliance.example\"\nserial = 3\nissued_at = \"2026-01-01T00:00:00Z\"\n";
const SECRETS: [fn() -> String; 3] = [|| BASE64.encode([1; 32]), || BASE64.encode([2; 32]), || BASE64.encode([3; 32])];

fn whole_text(error: &dyn Error) -> String {
    let cause = error.source().map(whole_text).unwrap_or_default();
    format!("{error}; {error:?}; {cause}")
}

fn assert_shows_no_secret(error: &ConfigError) {
    let text = whole_text(error);
    for secret in SECRETS {
        assert!(!text.contains(&secret()), "{text}");
    }
    assert!(!text.contains("PRIVATE KEY"), "{text}");
}

struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("key")).expect("CA"))
    }

    fn issue(&self, folder: &Folder, name: &str, uri: &str, dns: Option<&str>) {
        let key = KeyPair::generate().expect("key");
        let mut params = CertificateParams::default();
        let dns = dns.map(|dns| SanType::DnsName(dns.try_into().expect("ASCII")));
        params.subject_alt_names = [SanType::URI(uri.try_into().expect("ASCII"))].into_iter().chain(dns).collect();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.serial_number = Some(SerialNumber::from(17));
        params.not_after = date_time_ymd(2100, 1, 1);
        folder.write(&format!("{name}.pem"), &params.signed_by(&key, &self.0).expect("certificate").pem());
        folder.write(&format!("{name}.key"), &key.serialize_pem());
    }

    fn crl(&self) -> String {
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 1, 1),
            next_update: date_time_ymd(2026, 2, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.0).expect("CRL").pem().expect("PEM")
    }
}

#[test]
fn a_good_configuration_loads_with_all_it_names() {
    let folder = Folder::whole();
    let loaded = folder.load(&[]).expect("valid");
    let materials = loaded.materials(NOW).expect("valid");
    let summary = loaded.summary(&materials).expect("valid");
    assert_eq!(summary.certificate.identity, "spiffe://alliance.example/member/acme/node");
    assert_eq!((summary.certificate.serial.as_str(), summary.certificate.not_after.as_str()), ("11", "2100-01-01T00:00:00Z"));
    assert_eq!(summary.pseudonym_keys, ["k1".parse().expect("valid")]);
    assert_eq!(summary.roster.as_ref().map(|r| (r.serial, r.members)), Some((3, 0)));
    assert_eq!(summary.config_sha256.len(), 64);
    let text = format!("{summary} {} {materials:?}", serde_json::to_string(&summary).expect("JSON"));
    for secret in SECRETS {
        assert!(!text.contains(&secret()), "{text}");
    }
    for said in ["no revocation list", "operator: submit, check, cases, admin", "serial 3 of 2026-01-01T00:00:00Z", "64 MiB"] {
        assert!(text.contains(said), "{said}: {text}");
    }

    let client = folder.load_client().expect("valid");
    assert_eq!(client.materials().expect("valid").name.as_str(), "operator");
}

#[test]
fn a_client_has_the_roles_that_are_written() {
    let config = Folder::bare(NODE).load(&[]).expect("valid").config;
    let operator = "operator".parse().expect("valid");
    let everything = Grant::from(BTreeSet::from([Role::Submit, Role::Check, Role::Cases, Role::Admin]));
    assert_eq!(config.clients.access.0[&operator], everything);
    assert_eq!(config.store.cache_bytes(), 64 * 1_048_576);
}

#[test]
fn a_client_may_ask_as_fast_as_is_written() {
    let entry = "\n[[clients.access]]\nname = \"desk\"\nroles = [\"check\"]\ncalls_per_second = 1000\nrows_per_second = 5000\n\
                 rows_per_day = 200000\n";
    let config = Folder::bare(&(NODE.to_owned() + entry)).load(&[]).expect("valid").config;
    let allowance = config.clients.access.0[&"desk".parse().expect("valid")].allowance;
    assert_eq!((allowance.calls_per_second, allowance.rows_per_second), (NonZeroU32::new(1_000), NonZeroU32::new(5_000)));
    assert_eq!(allowance.rows_per_day, NonZeroU32::new(200_000));
    let never = entry.replace("1000", "0");
    let refused = Folder::bare(&(NODE.to_owned() + &never)).load(&[]).expect_err("nobody is listed who may ask nothing");
    assert!(refused.to_string().contains("calls_per_second") || refused.to_string().contains("nonzero"), "{refused}");
}

#[test]
fn metrics_are_told_to_this_machine_alone() {
    let told = |address: &str| Folder::bare(&format!("{NODE}\n[monitoring]\nlisten = \"{address}\"\n")).load(&[]);
    assert!(told("127.0.0.1:7402").is_ok() && told("[::1]:7402").is_ok());
    for address in ["0.0.0.0:7402", "192.0.2.1:7402", "localhost:7402", "127.0.0.1"] {
        let refused = told(address).expect_err(address).to_string();
        assert!(refused.contains("give a loopback address and a port"), "{refused}");
    }
    let clients = Folder::bare(NODE).load(&[]).expect("valid").config.clients.listen;
    told(&clients.to_string()).expect_err("the clients' listener has that address");
}

#[test]
fn traces_are_handed_over_on_this_machine_by_a_program_that_has_them() {
    let told = |address: &str| Folder::bare(&format!("{NODE}\n[traces]\ncollector = \"{address}\"\n")).load(&[]);
    for (address, advice) in [("192.0.2.1:4317", "give a loopback address"), ("localhost:4317", "give a loopback address")] {
        let refused = told(address).expect_err(address).to_string();
        assert!(refused.contains(advice), "{refused}");
    }
    let variable = [("COUNTERMARK__TRACES__COLLECTOR", "127.0.0.1:4317")];
    if HAS_TRACES {
        assert!(told("127.0.0.1:4317").is_ok() && Folder::bare(NODE).load(&variable).is_ok());
        assert!(told("127.0.0.1:0").expect_err("no port").to_string().contains("give the port"));
        let one_in = |count: &str| Folder::bare(NODE).load(&[variable[0], ("COUNTERMARK__TRACES__ONE_IN", count)]);
        let settings = one_in("100").expect("valid").config.traces.expect("some");
        assert_eq!(settings.one_in.get(), 100);
        assert!(one_in("0").is_err() && one_in("4294967296").is_err());
    } else {
        let refused = told("127.0.0.1:4317").expect_err("not built");
        assert_eq!(refused.code(), "TRACES_NOT_BUILT");
        let text = refused.to_string();
        assert!(
            text.contains("node.toml:") && text.contains("traces.collector: ") && text.contains("--features otel"),
            "{text}"
        );
        assert_eq!(Folder::bare(NODE).load(&variable).expect_err("not built").code(), "TRACES_NOT_BUILT");
    }
}

#[test]
fn every_path_is_absolute_once_it_is_loaded() {
    let folder = Folder::bare(NODE);
    let other = [
        ("COUNTERMARK__PEERS__CRL", "a.pem:/b.pem"),
        ("COUNTERMARK__CLIENTS__CRL", "c.pem"),
        ("COUNTERMARK__WEBHOOK__URL", "https://hooks.test/"),
        ("COUNTERMARK__WEBHOOK__CA", "d.pem"),
        ("COUNTERMARK__WEBHOOK__SECRET", "e.secret"),
    ];
    let config = serde_json::to_value(folder.load(&other).expect("valid").config).expect("JSON");
    for key in KEYS.iter().filter(|key| matches!(key.kind, Kind::Path | Kind::Paths)) {
        let value = &config[key.section][key.name];
        let single = std::slice::from_ref(value);
        for path in value.as_array().map_or(single, Vec::as_slice) {
            assert!(Path::new(path.as_str().expect("a path")).is_absolute(), "{}.{}: {path}", key.section, key.name);
        }
    }
    assert_eq!(config["peers"]["crl"], serde_json::json!([folder.path("a.pem"), "/b.pem"]));
}

#[test]
fn what_is_wrong_in_the_file_is_told_with_its_place() {
    let changed = |from: &str, to: &str| {
        assert!(NODE.contains(from), "{from}");
        let error = Folder::bare(&NODE.replacen(from, to, 1)).refused(&[]);
        let text = error.to_string();
        let (_, after) = text.split_once("node.toml:").expect("a place");
        (error.code(), after.to_owned())
    };
    let line = |key: &str| NODE.lines().position(|line| line.starts_with(key)).expect("there") + 1;
    let told = |code, line: usize, rest: &str| (code, format!("{line}:{rest}"));

    let (code, text) = changed("member = \"acme\"", "member = \"acme");
    assert_eq!((code, text.starts_with(&format!("{}:", line("member")))), ("CONFIG_SYNTAX", true), "{text}");
    assert!(!text.contains('\n'), "the line itself is not shown: {text}");
    let (code, text) = changed("member = ", "membre = ");
    assert_eq!(code, "CONFIG_UNKNOWN_KEY");
    assert!(text.starts_with(&format!("{}:1: ", line("member"))), "{text}");
    assert!(text.contains("unknown key `membre`, expected one of `alliance`, `member`"), "{text}");
    assert_eq!(changed("member = \"acme\"\n", ""), told("CONFIG_MISSING_KEY", line("[node]"), "1: node: missing key `member`"));
    assert_eq!(changed("[keys]", "[store]").0, "CONFIG_UNKNOWN_KEY");
    assert_eq!(
        changed("member = \"acme\"", "member = \"ACME\""),
        told("CONFIG_VALUE", line("member"), "10: node.member: give 1 to 40 characters of a-z, 0-9 and -")
    );
    assert_eq!(
        changed("127.0.0.1:7401", "localhost:7401"),
        told(
            "CONFIG_VALUE",
            NODE[..NODE.find("127").expect("there")].lines().count(),
            "10: clients.listen: invalid socket address syntax"
        )
    );
    let (code, text) = changed("127.0.0.1:7401", "0.0.0.0:7400");
    assert_eq!(code, "CONFIG_VALUE");
    assert!(text.contains("clients.listen: peers.listen has the same address"), "{text}");
    let (code, text) = changed("\"check\", ", "\"read\", ");
    assert_eq!((code, text.contains("give one of submit, check, cases, admin")), ("CONFIG_VALUE", true), "{text}");
    let (_, text) = changed("roles = [\"submit\", \"check\", \"cases\", \"admin\"]", "roles = []");
    assert!(text.contains("client `operator` has no role"), "{text}");
    let twice = "[[clients.access]]\nname = \"operator\"\nroles = [\"check\"]\n[[clients.access]]";
    assert!(changed("[[clients.access]]", twice).1.contains("stands here twice"));
    let with_store = |cache: &str| changed("[keys]", &format!("[store]\ncache_mib = {cache}\n[keys]"));
    for bad in ["0", "-1", "1048577"] {
        assert!(with_store(bad).1.ends_with("store.cache_mib: give 8 to 1048576 MiB"), "{bad}");
    }
    assert!(changed("[keys]", "[log]\nlevel = \"inof\"\n[keys]").1.contains("log.level: give error, warn, info"));
    for bad in ["nowhere", "host:0", "host:65536", "a b:1", "host:+1", ":1", "http://host:1", "::1:7400"] {
        let (code, text) = changed("[clients]", &format!("[peers.addresses]\nglobex = \"{bad}\"\n[clients]"));
        assert_eq!((code, text.contains("peers.addresses.globex: address: give host:port")), ("CONFIG_VALUE", true), "{text}");
    }
}

#[test]
fn a_secret_in_the_place_of_its_path_is_not_repeated() {
    let folder = Folder::whole();
    let good = fs::read_to_string(folder.path("node.toml")).expect("text");
    let pem = fs::read_to_string(folder.path("node.key")).expect("text");
    for (from, secret) in [("\"feed.key\"", SECRETS[0]()), ("\"local.secret\"", SECRETS[1]()), ("\"node.key\"", pem)] {
        folder.write("node.toml", &good.replace(from, &format!("'''{secret}'''")));
        let error = folder.refused(&[]);
        assert_eq!(error.code(), "CONFIG_VALUE");
        assert!(error.to_string().contains("give the path of a file, and not what is in it"), "{error}");
    }
    let error = Folder::whole().refused(&[("COUNTERMARK__KEYS__FEED_KEY", &SECRETS[0]())]);
    assert!(error.to_string().starts_with("environment variable COUNTERMARK__KEYS__FEED_KEY: keys.feed_key: give"), "{error}");
}

#[test]
fn the_environment_goes_before_the_file() {
    let folder = Folder::bare(NODE);
    let variables = [
        ("COUNTERMARK__NODE__MEMBER", "123"),
        ("COUNTERMARK__STORE__CACHE_MIB", "256"),
        ("COUNTERMARK__LOG__FORMAT", "json"),
        ("COUNTERMARK__PEERS__LISTEN", ""),
        ("COUNTERMARK__CLIENT__ADDRESS", "for the command line"),
        ("COUNTERMARK_OTHER", "not ours"),
    ];
    let loaded = folder.load(&variables).expect("valid");
    assert_eq!(loaded.config.node.member.as_str(), "123", "text stays text");
    assert_eq!(loaded.config.store.cache_mib, 256);
    assert_eq!(loaded.config.peers.listen.port(), 7400, "an empty variable is not set");
    let names = ["COUNTERMARK__NODE__MEMBER", "COUNTERMARK__STORE__CACHE_MIB", "COUNTERMARK__LOG__FORMAT"];
    assert_eq!(loaded.overrides, names);

    for (name, value, code) in [
        ("COUNTERMARK__STORE__CACHE", "1", "CONFIG_UNKNOWN_VARIABLE"),
        ("COUNTERMARK__STORE", "1", "CONFIG_UNKNOWN_VARIABLE"),
        ("COUNTERMARK__store__cache_mib", "64", "CONFIG_UNKNOWN_VARIABLE"),
        ("COUNTERMARK__STORE__CACHE_MIB", "lots", "CONFIG_VALUE"),
        ("COUNTERMARK__STORE__CACHE_MIB", "64.5", "CONFIG_VALUE"),
        ("COUNTERMARK__STORE__CACHE_MIB", "4", "CONFIG_VALUE"),
        ("COUNTERMARK__NODE__MEMBER", "ACME", "CONFIG_VALUE"),
        ("COUNTERMARK__PEERS__LISTEN", "nowhere", "CONFIG_VALUE"),
    ] {
        let error = folder.refused(&[(name, value)]);
        assert_eq!(error.code(), code, "{name}={value}");
        assert!(error.to_string().starts_with(&format!("environment variable {name}: ")), "{error}");
    }
}

#[test]
fn a_section_may_stand_in_the_environment_alone() {
    let (before, keys) = NODE.split_once("[keys]").expect("a section");
    let folder = Folder::bare(before);
    let names = keys.lines().filter_map(|line| line.split_once(" = "));
    let variables: Vec<(String, &str)> =
        names.map(|(name, value)| (format!("COUNTERMARK__KEYS__{}", name.to_uppercase()), value.trim_matches('"'))).collect();
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let (feed_key, local_secret) = (folder.path("feed.key"), folder.path("local.secret"));
    let expected = KeySettings { feed_key, local_secret, pseudonym_keys: folder.path("keys"), pseudonym_cache: 0 };
    assert_eq!(folder.load(&variables).expect("valid").config.keys, expected);
    let error = folder.refused(&variables[..1]);
    assert_eq!(error.code(), "CONFIG_MISSING_KEY");
    assert!(error.to_string().contains("missing key `local_secret`"), "{error}");
}

#[test]
fn what_is_wrong_in_a_file_is_told_with_its_setting() {
    let text = |folder: &Folder, name: &str| fs::read_to_string(folder.path(name)).expect("text");
    type Damage = fn(&Folder);
    let damages: [(&str, &str, Damage); 16] = [
        ("FILE_IO", "peers.certificate", |f| fs::remove_file(f.path("node.pem")).expect("removed")),
        ("FILE_IO", "peers.key", |f| fs::remove_file(f.path("node.key")).expect("removed")),
        ("FILE_NOT_TEXT", "peers.ca", |f| fs::write(f.path("alliance-ca.pem"), [0xff, 0xfe]).expect("written")),
        ("FILE_IO", "keys.pseudonym_keys", |f| fs::remove_dir_all(f.path("keys")).expect("removed")),
        ("FILE_TOO_LONG", "keys.feed_key", |f| f.write("feed.key", &"A".repeat(20_000))),
        ("FILE_NOT_PRIVATE", "peers.key", |f| f.mode("node.key", 0o640)),
        ("FILE_NOT_PRIVATE", "keys.feed_key", |f| f.mode("feed.key", 0o604)),
        ("FILE_NOT_PRIVATE", "keys.local_secret", |f| f.mode("local.secret", 0o644)),
        ("FILE_NOT_PRIVATE", "keys.pseudonym_keys", |f| f.mode("keys/k1.key", 0o660)),
        ("SIGNING_KEY_MALFORMED", "keys.feed_key", |f| f.write("feed.key", "no key")),
        ("LOCAL_SECRET_INVALID", "keys.local_secret", |f| f.write("local.secret", "AAAA")),
        ("CONFIG_PSEUDONYM_KEYS", "keys.pseudonym_keys", |f| f.write("keys/K 1.key", "")),
        ("CONFIG_PSEUDONYM_KEY", "keys.pseudonym_keys", |f| f.write("keys/k2.key", "no key")),
        ("TLS_CA", "clients.ca", |f| f.write("client-ca.pem", "no certificate")),
        ("TLS_CERTIFICATE", "peers.certificate", |f| f.write("node.pem", "no certificate")),
        ("NOTE_MALFORMED", "roster.file", |f| f.write("roster.note", "no note")),
    ];
    for (code, key, damage) in damages {
        let folder = Folder::whole();
        damage(&folder);
        let error = folder.refused(&[]);
        assert_eq!(error.code(), code, "{key}: {}", whole_text(&error));
        assert!(error.to_string().contains(&format!(": {key}: ")), "{error}");
        assert!(error.to_string().contains("node.toml:"), "{error}");
    }

    let folder = Folder::whole();
    folder.write("node.key", &text(&Folder::whole(), "node.key"));
    assert_eq!(folder.refused(&[]).code(), "TLS_KEY_MISMATCH");
    let expired = Folder::whole().load(&[]).expect("valid").materials(Timestamp::from_unix_ms(4_200_000_000_000));
    let expired = expired.map(|_| ()).expect_err("refused");
    assert_eq!(expired.code(), "TLS_NOT_TRUSTED");
    assert!(expired.to_string().contains(": peers.certificate: "), "{expired}");
    let folder = Folder::whole();
    folder.write("alliance-crl.pem", &text(&Folder::whole(), "alliance-crl.pem").replace("X509 CRL", "X509 CARROT"));
    assert_eq!(folder.refused(&[("COUNTERMARK__PEERS__CRL", "alliance-crl.pem")]).code(), "TLS_CRL");
    let error = folder.refused(&[("COUNTERMARK__NODE__MEMBER", "globex")]);
    assert_eq!(error.code(), "CONFIG_IDENTITY");
    assert!(error.to_string().contains("is for spiffe://alliance.example/member/acme/node, and this"), "{error}");
    let error = folder.refused(&[("COUNTERMARK__ROSTER__SECRETARIAT_KEY", &SECRETS[0]())]);
    assert_eq!(error.code(), "NOTE_NOT_SIGNED");
    (0..=64).for_each(|n| folder.write(&format!("keys/n{n}.key"), &SECRETS[2]()));
    assert_eq!(folder.refused(&[]).code(), "CONFIG_PSEUDONYM_KEYS");
}

#[test]
fn a_revocation_list_shows_in_the_summary() {
    let folder = Folder::whole();
    let loaded = folder.load(&[("COUNTERMARK__PEERS__CRL", "alliance-crl.pem")]).expect("valid");
    let summary = loaded.summary(&loaded.materials(NOW).expect("valid")).expect("valid").to_string();
    assert!(summary.contains("certificates revoked: 0, next list due 2026-02-01T00:00:00Z"), "{summary}");
    assert!(summary.contains("overridden by    COUNTERMARK__PEERS__CRL"), "{summary}");
}

#[test]
fn a_client_knows_which_member_it_calls_for() {
    let folder = Folder::whole();
    folder.write("client.toml", &CLIENT.replace("acme.alliance.example", "globex.alliance.example"));
    assert_eq!(folder.load_client().expect("valid").materials().expect_err("refused").code(), "CONFIG_IDENTITY");
    let wrong =
        [("\"acme.alliance.example\"", "\"localhost\""), ("= 0.1\n", "= 1.1\n"), ("= \"127.0.0.1:7401\"", "= \"127.0.0.1\"")];
    for (from, to) in wrong {
        assert!(CLIENT.contains(from), "{from}");
        folder.write("client.toml", &CLIENT.replace(from, to));
        assert_eq!(folder.load_client().expect_err("refused").code(), "CONFIG_VALUE", "{to}");
    }
    folder.write("client.toml", &CLIENT.replace("retract_share = 0.1", "retract_share = 1"));
    assert_eq!(folder.load_client().expect("valid").config.client.retract_share.get().to_string(), "1");
}

#[test]
fn a_share_is_exceeded_above_it_only() {
    assert!(!Share::TENTH.is_exceeded_by(1, 10) && Share::TENTH.is_exceeded_by(2, 10));
    assert!(!Share::TENTH.is_exceeded_by(0, 0) && Share::TENTH.is_exceeded_by(1, 0));
}

#[test]
fn a_configuration_is_found_where_it_is_looked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |path: &str| folder.path().join(path);
    fs::create_dir_all(at("xdg/countermark")).expect("created");
    fs::create_dir_all(at("home/.config/countermark")).expect("created");
    fs::write(at("xdg/countermark/node.toml"), "").expect("written");
    fs::write(at("home/.config/countermark/client.toml"), "").expect("written");
    let text = |path: PathBuf| path.into_os_string().into_string().expect("UTF-8");
    let (xdg, home, named) = (text(at("xdg")), text(at("home")), text(at("named.toml")));

    let both = environment(&[("XDG_CONFIG_HOME", &xdg), ("HOME", &home)]);
    assert_eq!(both.find(Purpose::Node, None).expect("found"), at("xdg/countermark/node.toml"));
    let home_only = environment(&[("XDG_CONFIG_HOME", "relative"), ("HOME", &home)]);
    assert_eq!(home_only.find(Purpose::Client, None).expect("found"), at("home/.config/countermark/client.toml"));
    let variable = environment(&[("COUNTERMARK_CONFIG", &named), ("COUNTERMARK_CLIENT", &xdg), ("HOME", &home)]);
    assert_eq!(variable.find(Purpose::Node, None).expect("named"), at("named.toml"));
    assert_eq!(variable.find(Purpose::Client, None).expect("named"), at("xdg/client.toml"), "a file that is not there yet");
    let flag = at("xdg/countermark");
    assert_eq!(variable.find(Purpose::Node, Some(&flag)).expect("named"), flag.join("node.toml"), "a folder's file");

    let error = environment(&[]).find(Purpose::Client, None).expect_err("nothing there");
    assert_eq!(error.code(), "CONFIG_NOT_FOUND");
    let advice = "give one with --config or COUNTERMARK_CLIENT, or put it at /etc/countermark/client.toml";
    assert!(error.to_string().ends_with(advice), "{error}");
    let error = environment(&[]).find(Purpose::Node, None).expect_err("nothing there");
    assert!(error.to_string().contains("COUNTERMARK_CONFIG"), "{error}");
    let missing = NodeConfig::load(&at("named.toml"), &both).expect_err("missing");
    assert_eq!(missing.code(), "FILE_IO");
    assert!(whole_text(&missing).contains("named.toml` cannot be read or written"), "{missing}");
}
