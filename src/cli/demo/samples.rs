//! Files to try by hand while the demonstration's nodes run, in each of the three formats.

use std::path::Path;

/// Two sellers; the second row has a licence with a wrong check character and is refused.
const SELLERS_CSV: &str = "\
submission_id,audience,infringement,brand,evidence,actions,domain,phone,business_licence
case-1,all,trademark_counterfeit,Aurelle,test_purchase,listing_removed|store_closed,outlet-9001.test,+1 415 555 0134,
case-2,all,trademark_counterfeit,Aurelle,court_judgment,store_closed,outlet-9002.test,,91110000600037341M
";

const SELLERS_JSONL: &str = r#"{"submission_id": "case-3", "audience": "all", "infringement": "pirated_copyright", "evidence": [{"kind": "customs_seizure"}], "goods_value": {"amount_minor": 250000, "currency": "CNY", "count": 40}, "identifiers": {"domain": ["outlet-9003.test"], "email": "sales@outlet-9003.test"}}
"#;

const LIST_TXT: &str = "\
# Domains of outlets, one a line.
outlet-9004.test
https://www.outlet-9005.test/sale?ref=1
";

/// Writes them into `folder`.
pub(super) fn write(folder: &Path) -> std::io::Result<()> {
    let samples = [("sellers.csv", SELLERS_CSV), ("sellers.jsonl", SELLERS_JSONL), ("list.txt", LIST_TXT)];
    samples.into_iter().try_for_each(|(name, text)| std::fs::write(folder.join(name), text))
}
