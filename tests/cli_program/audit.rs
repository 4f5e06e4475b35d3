//! An admin reads the audit log and keeps copies, by which somebody else finds out whether it was changed.

use crate::real_nodes::World;

#[test]
fn a_log_that_was_changed_is_found_out() {
    let world = World::new();
    let rows = "domain,submission_id,infringement,evidence,audience\noutlet.test,case-1,other,test_purchase,all\n";
    world.run("a", &["submit", "-", "--format", "csv"], rows).expect(0);
    let listed = world.run("a", &["audit", "--kind", "submission"], "").expect(0).out;
    assert!(listed.contains("submission 1  a/all/0") && listed.lines().count() == 1, "{listed}");
    world.run("a", &["audit", "--client", "nobody"], "").expect(0);
    world.run("a", &["audit", "export", "--out", "first.jsonl"], "").expect(0);
    world.run("a", &["audit", "export", "--out", "first.jsonl"], "").expect(1);
    world.run("a", &["retract", "--submission-id", "case-1", "--audience", "all", "--reason", "other"], "").expect(0);
    world.run("a", &["audit", "export", "--out", "second.jsonl"], "").expect(0);

    let verify = |file: &str, earlier: &str| {
        let mut arguments = vec!["audit", "verify", file, "--roster", "s/roster.note", "--output", "json"];
        arguments.extend(["--secretariat-key", "s/members/a/roster.pub"]);
        if !earlier.is_empty() {
            arguments.extend(["--earlier", earlier]);
        }
        crate::run(world.path(), &arguments)
    };
    let verified = verify("second.jsonl", "first.jsonl").expect(0).json();
    assert!(verified["earlier"].as_u64() < verified["size"].as_u64(), "{verified}");
    assert!(verify("first.jsonl", "second.jsonl").expect(1).err.contains("error[AUDIT_CHANGED]"), "records were left out");
    let text = std::fs::read_to_string(world.path().join("second.jsonl")).expect("readable");
    assert!(!text.contains("outlet.test"));
    let changed = |name: &str, text: String, code: &str| {
        world.write(name, text);
        let refused = verify(name, "").expect(1);
        assert!(refused.err.contains(&format!("error[{code}]")), "{name}: {}", refused.err);
    };
    changed("reference", text.replace("a/all/0", "a/all/9"), "AUDIT_CHANGED");
    let lines: Vec<&str> = text.lines().collect();
    changed("shorter", lines[..lines.len() - 1].join("\n") + "\n", "AUDIT_CHANGED");
    changed("turned", [&lines[..1], &[lines[2], lines[1]], &lines[3..]].concat().join("\n"), "AUDIT_CHANGED");
    changed("format", text.replace("countermark-audit/1", "countermark-audit/2"), "AUDIT_FORMAT");
    changed("garbage", "x\n".into(), "AUDIT_MALFORMED");
}
