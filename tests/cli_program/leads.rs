//! An investigator follows a ring to an authority, which verifies what it is given without a node.

use serde_json::Value;

use crate::real_nodes::World;

/// Two sellers with one phone, each worth 30,000 yuan, seen in China.
fn rows(member: &str, shop: usize) -> String {
    format!(
        "domain,phone,submission_id,infringement,evidence,audience,brand,seen_region,amount,currency\n\
         shop-{shop}.test,+8613800138000,{member}-{shop},trademark_counterfeit,test_purchase::{},all,Acme,CN-GD,30000,CNY\n",
        format!("{shop}7").repeat(32)
    )
}

fn json(world: &World, member: &str, arguments: &[&str]) -> Value {
    let arguments: Vec<&str> = ["--output", "json"].iter().chain(arguments).copied().collect();
    world.run(member, &arguments, "").expect(0).json()
}

#[test]
fn an_authority_verifies_a_lead_without_a_node() {
    let world = World::new();
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/config/thresholds.toml");
    for (shop, member) in ["a", "b"].into_iter().enumerate() {
        world.run(member, &["submit", "-", "--format", "csv"], &rows(member, shop)).expect(0);
    }
    world.until("a", &["check", "--domain", "shop-1.test"], 3);

    let find = ["leads", "find", "--thresholds", rules];
    let found = json(&world, "a", &find);
    assert_eq!((found["sellers"].clone(), found["goods"]["total_minor"].clone()), (2.into(), 6_000_000.into()));
    let table = world.run("a", &find, "").expect(0).out;
    assert_eq!(
        table,
        "ring at a/all/0: 2 sellers, 2 signals of a, b, seen in CN-GD\n  \
         threshold met: CN counterfeit mark (60000.00 CNY of 50000.00 CNY)\n"
    );
    let ring = world.run("a", &["ring", "--domain", "shop-0.test", "--thresholds", rules], "").expect(0).out;
    assert!(ring.contains("threshold not met: CN sale, sold (0.00 CNY of 50000.00 CNY)"), "{ring}");
    world.run("a", &["leads", "find"], "").expect(2);
    let broken = world.write("broken.toml", "[[threshold]]\nname = \"x\"\ncurrency = \"CNY\"\namount = 1\ncolour = 2\n");
    let refused = world.run("a", &["leads", "find", "--thresholds", &broken.display().to_string()], "").expect(1);
    assert!(refused.err.contains("error[THRESHOLDS_INVALID]") && refused.err.contains("colour"), "{}", refused.err);

    let lead = json(&world, "a", &["leads", "open", "a/all/0"])["lead"].as_str().expect("a name").to_owned();
    assert_eq!(lead, "a/all/1");
    world.until_json("b", &["leads"], |listing| listing["leads"][0]["lead"] == lead.as_str());
    let foreign = world.run("b", &["leads", "record", &lead, "--stage", "dropped"], "").expect(1);
    assert!(foreign.err.contains("error[ENTRY_NOT_OWN]"), "{}", foreign.err);
    let early = world.run("a", &["leads", "record", &lead, "--stage", "convicted"], "").expect(1);
    assert!(early.err.contains("error[LEAD_STAGE_UNFIT]"), "{}", early.err);
    let police = ["leads", "record", &lead, "--stage", "referred", "--authority", "Police of Shenzhen", "--on", "2026-11-20"];
    world.run("a", &police, "").expect(0);
    let shown = world.run("a", &["leads", "show", &lead], "").expect(0).out;
    assert!(shown.contains("2026-11-20  referred (Police of Shenzhen)"), "{shown}");
    let listed = world.run("a", &["leads"], "").expect(0).out;
    assert!(listed.contains("CN-GD") && listed.contains("60000.00 CNY") && listed.contains("2 signals"), "{listed}");
    let funnel = json(&world, "a", &["leads"])["funnel"]["overall"].clone();
    assert_eq!(
        (funnel["identified"].clone(), funnel["referred"].clone(), funnel["accepted"].clone()),
        (1.into(), 1.into(), 0.into())
    );

    // What the seller has to say goes with it.
    world.run("b", &["dispute", "open", "--signal", "a/all/0", "--ground", "genuine-goods"], "").expect(0);
    world.until_json("a", &["signal", "a/all/0"], |signal| signal["status"] == "disputed");
    let exported = json(&world, "a", &["leads", "export", &lead, "--out", "lead.json"]);
    assert_eq!((exported["entries"].clone(), exported["cut"].clone()), (5.into(), false.into()));
    let again = world.run("a", &["leads", "export", &lead, "--out", "lead.json"], "").expect(1);
    assert!(again.err.contains("lead.json"), "nothing is overwritten: {}", again.err);

    // The authority has the file and the secretariat's key, and nothing else.
    let authority = crate::folder();
    let copy = |name: &str, from: &str| {
        let text = std::fs::read_to_string(world.path().join(from)).expect("readable");
        std::fs::write(authority.path().join(name), &text).expect("written");
        text
    };
    let text = copy("lead.json", "lead.json");
    copy("secretariat.pub", "s/members/a/roster.pub");
    let verify = |name: &str| {
        crate::run(
            authority.path(),
            &["feed", "verify", "--bundle", name, "--secretariat-key", "secretariat.pub", "--output", "json"],
        )
    };
    let verified = verify("lead.json").expect(0).json();
    assert_eq!((verified["entries_verified"].clone(), verified["signals"].clone()), (5.into(), 2.into()));
    assert_eq!(
        (verified["members"][0]["member"].clone(), verified["members"][1]["state"].clone()),
        ("a".into(), "active".into())
    );
    assert!(verified["roster_serial"].as_u64() >= Some(1), "{verified}");
    let bundle: Value = serde_json::from_str(&text).expect("JSON");
    let signal = &bundle["summary"]["signals"][0];
    assert_eq!((signal["brand"].clone(), signal["evidence"][0]["sha256"][0].clone()), ("Acme".into(), "07".repeat(32).into()));
    let said = signal["said_since"][0]["what"].as_str().expect("words");
    assert!(said.starts_with("disputed by the seller: genuine_goods; without a decision it lapses"), "{said}");
    assert_eq!(bundle["summary"]["members"][1]["kind"], "platform");
    for secret in ["shop-0", "13800138000"] {
        assert!(!text.contains(secret), "{secret}");
    }

    // Whoever changes a word of it is found out.
    let changed = |name: &str, change: &dyn Fn(&mut Value), code: &str| {
        let mut bundle = bundle.clone();
        change(&mut bundle);
        std::fs::write(authority.path().join(name), bundle.to_string()).expect("written");
        let refused = verify(name).expect(1);
        assert!(refused.err.contains(&format!("error[{code}]")), "{name}: {}", refused.err);
    };
    changed("brand", &|b| b["summary"]["signals"][0]["brand"] = "Other".into(), "BUNDLE_SUMMARY_WRONG");
    changed("dispute", &|b| drop(b["entries"].as_array_mut().expect("entries").remove(4)), "BUNDLE_SUMMARY_WRONG");
    let left_out = |bundle: &mut Value| {
        bundle["entries"].as_array_mut().expect("entries").retain(|entry| entry["entry"] != "b/all/0");
        let gone = bundle["summary"]["signals"].as_array_mut().expect("signals").remove(1);
        bundle["summary"]["missing"] = serde_json::json!([gone["signal"]]);
    };
    let mut fewer = bundle.clone();
    left_out(&mut fewer);
    std::fs::write(authority.path().join("fewer"), fewer.to_string()).expect("written");
    assert_eq!(verify("fewer").expect(0).json()["missing"], serde_json::json!(["b/all/0"]), "what was left out is named");
    changed(
        "twice",
        &|b| {
            let entries = b["entries"].as_array_mut().expect("entries");
            entries.push(entries[0].clone());
        },
        "BUNDLE_TWICE",
    );
    changed("swapped", &|b| b["entries"][0]["bytes"] = b["entries"][1]["bytes"].clone(), "PROOF_NOT_INCLUDED");
    changed("moved", &|b| b["entries"][0]["entry"] = "a/all/5".into(), "PROOF_NOT_INCLUDED");
    changed("foreign", &|b| b["entries"][0]["entry"] = "b/all/0".into(), "CHECKPOINT_UNKNOWN_MEMBER");
    changed("newer", &|b| b["format"] = "countermark-lead/2".into(), "BUNDLE_FORMAT");
    changed("more", &|b| b["more"] = 1.into(), "BUNDLE_MALFORMED");
    std::fs::write(authority.path().join("secretariat.pub"), "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").expect("written");
    verify("lead.json").expect(1);
}
