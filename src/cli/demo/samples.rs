//! Files to try by hand while the demonstration's nodes run, in each of the three formats.

use std::path::Path;

/// Two sellers; the second row has a licence with a wrong check character and is refused.
const SELLERS_CSV: &str = "\
submission_id,audience,infringement,brand,evidence,actions,domain,phone,business_licence
case-1,all,trademark_counterfeit,Aurelle,test_purchase,listing_removed|store_closed,outlet-9001.test,+1 415 555 0134,
case-2,all,trademark_counterfeit,Aurelle,court_judgment,store_closed,outlet-9002.test,,91110000600037341M
";

const SELLERS_JSONL: &str = r#"{"submission_id": "case-3", "audience": "all", "infringement": "pirated_copyright", "evidence": [{"kind": "customs_seizure"}], "goods_value": {"amount_minor": 250000, "currency": "CNY", "count": 40}, "identifiers": {"domain": ["outlet-9003.test"], "email": "sales@outlet-9003.test"}}
{"submission_id": "case-4", "audience": "all", "infringement": "trademark_counterfeit", "brand": "Aurelle", "evidence": [{"kind": "police_raid"}], "seen_region": "CN-GD", "goods_value": {"amount_minor": 6000000, "currency": "CNY", "reference": "raid 2026-7"}, "identifiers": {"domain": ["outlet-9006.test"], "phone": "+1 415 555 0134"}}
"#;

const LIST_TXT: &str = "\
# Domains of outlets, one a line.
outlet-9004.test
https://www.outlet-9005.test/sale?ref=1
";

/// Examples of thresholds.
const THRESHOLDS: &str = include_str!("../../../config/thresholds.toml");

/// Writes them into `folder`.
pub(super) fn write(folder: &Path) -> std::io::Result<()> {
    let samples = [
        ("sellers.csv", SELLERS_CSV),
        ("sellers.jsonl", SELLERS_JSONL),
        ("list.txt", LIST_TXT),
        ("thresholds.toml", THRESHOLDS),
    ];
    samples.into_iter().try_for_each(|(name, text)| std::fs::write(folder.join(name), text))
}
