#![allow(clippy::print_stderr)] // A test that had no data to work on says so.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::domain::IdentifierKind;
use crate::rpc::proto;

fn source(bytes: impl AsRef<[u8]> + Send + 'static) -> Source {
    Source::new(Cursor::new(bytes)).expect("readable")
}

fn defaults() -> Defaults {
    let mut defaults = Defaults::default();
    for (field, text) in [
        (Field::Audience, "all"),
        (Field::Infringement, "trademark_counterfeit"),
        (Field::Evidence, "volunteer_surveillance"),
        (Field::Region, "CN"),
    ] {
        defaults.set(field, text).expect("valid");
    }
    defaults
}

/// All rows and the totals, which must add up.
fn read(text: impl AsRef<[u8]>, layout: Layout, purpose: Purpose) -> (Vec<Row>, Totals) {
    let bytes = text.as_ref().to_vec();
    let mut rows = Rows::new(source(bytes), layout, purpose, defaults()).expect("a header");
    let all: Vec<Row> = rows.by_ref().map(|row| row.expect("readable")).collect();
    let totals = rows.totals();
    assert_eq!(totals.rows, all.len() as u64);
    assert_eq!(totals.lines, totals.rows + totals.skipped + totals.continued);
    assert_eq!(totals.continued, all.iter().map(|row| row.lines - 1).sum::<u64>());
    assert!(all.windows(2).all(|pair| pair[0].line + pair[0].lines <= pair[1].line));
    (all, totals)
}

/// Code and field of a row that is refused, or nothing.
fn verdict(row: &Row) -> (u64, &str) {
    (row.line, row.result.as_ref().map_or_else(|e| e.code, |_| ""))
}

fn only(text: impl AsRef<[u8]>, layout: Layout, purpose: Purpose) -> Result<proto::Submission, FieldError> {
    let (mut rows, _) = read(text, layout, purpose);
    assert_eq!(rows.len(), 1);
    rows.remove(0).result
}

fn values(submission: &proto::Submission) -> Vec<(i32, &str, &str)> {
    submission.identifiers.iter().map(|i| (i.kind, i.value.as_str(), i.region.as_str())).collect()
}

const CSV: fn() -> Layout = || Layout::Csv(Delimiter::Comma);
const DIGEST: &str = "ab54d286f6c4a7ae5e4d6ad8a2b0c7c5f3e1d9b8a7c6e5d4f3b2a19087654321";

#[test]
fn whatever_may_be_a_phone_number_is_read_in_the_region() {
    let row = "phone,messaging_account,payment_account,email,region\n1,whatsapp:2,alipay:3,a@b.example,TW\n";
    let row = only(row, CSV(), Purpose::Check).expect("valid");
    let regions: Vec<(&str, &str)> = row.identifiers.iter().map(|i| (i.value.as_str(), i.region.as_str())).collect();
    assert_eq!(regions, [("1", "TW"), ("a@b.example", ""), ("alipay:3", "TW"), ("whatsapp:2", "TW")]);
}

#[test]
fn a_full_csv_row_and_a_full_object_say_the_same() {
    let csv = format!(
        "submission_id,audience,domain,phone,Marketplace Account,region,infringement,rights_holder,brand,evidence,actions,\
         platform,seen_region,hs_chapter,gtin,amount,currency,count,goods_reference,goods_state,observed_on,acted_on,retention_days\n\
         case-7,luxury,a.example|b.example,13800138000,taobao:x\\|y,CN,design,\"Acme, Inc.\",Acme,\
         test_purchase:conclusive:{DIGEST}+{DIGEST}|image_recognition|police_raid:{DIGEST},store_closed|permanent_ban,taobao,\
         CN-GD,42,4006381333931,1234.50,CNY,12,HP 2026/1189,unsold,2026-01-31,2026-02-01,365\n"
    );
    let json = format!(
        r#"{{"submission_id":"case-7","audience":"luxury","region":"CN",
        "identifiers":{{"domain":["a.example","b.example"],"phone":"13800138000","marketplace_account":"taobao:x|y"}},
        "infringement":"design","rights_holder":"Acme, Inc.","brand":"Acme",
        "evidence":[{{"kind":"test_purchase","grade":"conclusive","sha256":["{DIGEST}","{DIGEST}"]}},
        {{"kind":"image_recognition"}},{{"kind":"police_raid","sha256":["{DIGEST}"]}}],
        "actions":["store_closed","permanent_ban"],"platform":"taobao","seen_region":"CN-GD","hs_chapter":42,
        "gtin":"4006381333931","goods_value":{{"amount_minor":123450,"currency":"CNY","count":12,"reference":"HP 2026/1189","state":"unsold"}},
        "observed_on":"2026-01-31","acted_on":"2026-02-01","retention_days":365,"nice_class":null}}"#
    )
    .replace('\n', " ");
    let from_csv = only(csv, CSV(), Purpose::Submit).expect("valid");
    assert_eq!(from_csv, only(json, Layout::Jsonl, Purpose::Submit).expect("valid"));
    assert_eq!(
        values(&from_csv),
        [(1, "taobao:x|y", ""), (2, "a.example", ""), (2, "b.example", ""), (4, "13800138000", "CN")]
    );
    let statement = from_csv.statement.expect("a statement");
    assert_eq!(
        statement.goods_value,
        Some(proto::GoodsValue {
            amount_minor: 123_450,
            currency: "CNY".into(),
            count: 12,
            reference: "HP 2026/1189".into(),
            state: 2
        })
    );
    assert_eq!(
        statement.evidence.iter().map(|e| (e.kind, e.grade, e.sha256.len())).collect::<Vec<_>>(),
        [(2, 3, 2), (5, 0, 0), (8, 0, 1)]
    );
}

#[test]
fn defaults_fill_what_a_row_leaves_empty() {
    let (rows, _) =
        read("\u{feff}domain,audience,currency,amount\r\na.example,,EUR,\r\nb.example,luxury,,\r\n", CSV(), Purpose::Submit);
    let audiences: Vec<_> = rows.iter().map(|row| row.result.as_ref().expect("valid").audience.as_str()).collect();
    assert_eq!(audiences, ["all", "luxury"]);
    let first = rows[0].result.as_ref().expect("valid").statement.as_ref().expect("a statement");
    assert_eq!((first.infringement, first.evidence.len(), &first.goods_value), (1, 1, &None));
    assert_eq!(Defaults::default().set(Field::Infringement, "fake").expect_err("refused").code, "INFRINGEMENT_UNKNOWN");

    let mut classes = defaults();
    classes.set(Field::HsChapter, "42").expect("valid");
    let text = "domain,nice_class\na.example,25\nb.example,\n";
    let rows = Rows::new(source(text), CSV(), Purpose::Submit, classes).expect("a header");
    let classes: Vec<_> = rows
        .map(|row| {
            row.expect("readable").result.expect("valid").statement.expect("a statement").product.expect("a product").class
        })
        .collect();
    assert_eq!(classes, [Some(proto::product::Class::NiceClass(25)), Some(proto::product::Class::HsChapter(42))]);
}

#[test]
fn a_check_needs_identifiers_only_and_a_retraction_an_id() {
    let text = "phone,infringement,submission_id,audience\n13800138000,nonsense,id-1,\n";
    let check = only(text, CSV(), Purpose::Check).expect("valid");
    assert_eq!((values(&check), &check.statement, check.audience.as_str()), (vec![(4, "13800138000", "CN")], &None, ""));
    let retraction = only(text, CSV(), Purpose::Retract).expect("valid");
    assert_eq!((retraction.submission_id.as_str(), retraction.audience.as_str()), ("id-1", "all"));
    assert!(retraction.identifiers.is_empty());
    let json = r#"{"identifiers":{"domain":"a.example"},"hs_chapter":"x","evidence":7}"#;
    assert_eq!(values(&only(json, Layout::Jsonl, Purpose::Check).expect("valid")), [(2, "a.example", "")]);
    assert_eq!(only(json, Layout::Jsonl, Purpose::Retract).expect_err("refused").code, "SUBMISSION_ID_INVALID");
}

#[test]
fn a_list_may_name_its_lines() {
    let options = LinesOptions { id_prefix: Some("gaso/".into()), ..LinesOptions::of(IdentifierKind::Domain) };
    let submitted = only("||a.example^\n", Layout::Lines(options.clone()), Purpose::Submit).expect("valid");
    let retracted = only("a.example\n", Layout::Lines(options.clone()), Purpose::Retract).expect("valid");
    assert_eq!(submitted.submission_id, "gaso/a.example");
    assert_eq!(retracted.submission_id, submitted.submission_id);
    let long = only("a".repeat(200), Layout::Lines(options), Purpose::Submit);
    assert_eq!(long.expect_err("refused").code, "SUBMISSION_ID_INVALID");
}

#[test]
fn the_help_names_every_column() {
    let help: Vec<&str> = crate::cli::arguments::SUBMIT_HELP.split([' ', ',', '.', '\n']).collect();
    let kinds = IdentifierKind::ALL.iter().map(|kind| kind.as_str());
    let missing: Vec<_> = kinds.chain(Field::ALL.map(Field::as_str)).filter(|name| !help.contains(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn a_bad_cell_is_refused_with_its_column() {
    for (column, cell, code, field) in [
        ("audience", "All!", "AUDIENCE_INVALID", "audience"),
        ("infringement", "fake", "INFRINGEMENT_UNKNOWN", "infringement"),
        ("evidence", "rumour", "EVIDENCE_UNKNOWN", "evidence[0].kind"),
        ("evidence", "test_purchase|police_raid:certain", "EVIDENCE_GRADE_UNKNOWN", "evidence[1].grade"),
        ("evidence", "test_purchase::abcd", "DIGEST_INVALID", "evidence[0].sha256"),
        ("evidence", "test_purchase:conclusive:a:b", "EVIDENCE_FORMAT", "evidence[0]"),
        ("actions", "store_closed|none", "ACTION_UNKNOWN", "actions"),
        ("platform", "Taobao", "PLATFORM_INVALID", "platform"),
        ("seen_region", "China", "REGION_UNKNOWN", "seen_region"),
        ("region", "CN-GD", "REGION_UNKNOWN", "region"),
        ("hs_chapter", "77", "HS_CHAPTER_UNKNOWN", "hs_chapter"),
        ("hs_chapter", "-1", "NUMBER_INVALID", "hs_chapter"),
        ("nice_class", "46", "NICE_CLASS_UNKNOWN", "nice_class"),
        ("gtin", "4006381333932", "GTIN_INVALID", "gtin"),
        ("amount", "12", "CURRENCY_MISSING", "currency"),
        ("currency", "RMB", "CURRENCY_UNKNOWN", "currency"),
        ("count", "0", "NUMBER_INVALID", "count"),
        ("observed_on", "31.01.2026", "DATE_INVALID", "observed_on"),
        ("retention_days", "4000", "RETENTION_OUT_OF_RANGE", "retention_days"),
    ] {
        let error = only(format!("domain,{column}\na.example,{cell}\n"), CSV(), Purpose::Submit).expect_err(column);
        assert_eq!((error.code, error.field.as_str()), (code, field), "{column}={cell}");
    }
    let long = only(format!("brand,domain\n{},a.example\n", "x".repeat(121)), CSV(), Purpose::Submit);
    assert_eq!(long.expect_err("refused").code, "TEXT_INVALID");
    let both = only("domain,hs_chapter,nice_class\na.example,42,25\n", CSV(), Purpose::Submit);
    assert_eq!(both.expect_err("refused").code, "PRODUCT_CLASS_TWICE");
}

/// An oversized message would end the stream for its neighbours, so rows are bounded here.
#[test]
fn counts_and_lengths_are_bounded() {
    let many = |n: usize, item: &str| vec![item; n].join("|");
    for (text, code) in [
        (format!("domain\n{}\n", many(33, "a.example")), "IDENTIFIER_COUNT"),
        ("domain,brand\n,x\n".to_owned(), "IDENTIFIER_COUNT"),
        (format!("domain\n{}\n", "a".repeat(2_049)), "IDENTIFIER_TOO_LONG"),
        (format!("domain,evidence\na.example,{}\n", many(17, "test_purchase")), "EVIDENCE_COUNT"),
        (format!("domain,evidence\na.example,test_purchase::{}\n", [DIGEST; 9].join("+")), "EVIDENCE_COUNT"),
        (format!("domain,actions\na.example,{}\n", many(17, "store_closed")), "ACTION_REPEATED"),
        (format!("domain,submission_id\na.example,{}\n", "x".repeat(129)), "SUBMISSION_ID_INVALID"),
    ] {
        assert_eq!(only(text, CSV(), Purpose::Submit).expect_err(code).code, code);
    }
}

#[test]
fn identifiers_of_a_cell_are_split_at_unescaped_bars() {
    for (cell, expected) in [
        ("a|b", vec!["a", "b"]),
        (" a | b |", vec!["a", "b"]),
        (r"a\|b", vec!["a|b"]),
        (r"a\\|b", vec![r"a\", "b"]),
        (r"a\b", vec![r"a\b"]),
        (r"a\", vec![r"a\"]),
    ] {
        let check = only(format!("legal_name\n{cell}\n"), CSV(), Purpose::Check).expect("valid");
        assert_eq!(check.identifiers.iter().map(|i| i.value.as_str()).collect::<Vec<_>>(), expected, "{cell}");
    }
}

#[test]
fn a_header_that_is_none_is_refused_without_showing_data() {
    for (text, code, field, shown) in [
        ("", "HEADER_MISSING", "header", None),
        ("\n\n", "HEADER_MISSING", "header", None),
        ("domain,colour\nx,y\n", "COLUMN_UNKNOWN", "column 2", Some("`colour` is no column; known are marketplace_account, ")),
        ("domain,Domain\n", "COLUMN_REPEATED", "column 2", None),
        ("evil-shop.example,design\n", "COLUMN_UNKNOWN", "column 1", Some("this is no column")),
        ("someone\n", "COLUMN_UNKNOWN", "column 1", Some("this is no column")),
        ("domain,13800138000\n", "COLUMN_UNKNOWN", "column 2", Some("this is no column")),
        ("domain,\"brand\n", "QUOTE_OPEN", "", None),
    ] {
        let error = Rows::new(source(text), CSV(), Purpose::Check, Defaults::default()).err().expect("refused");
        let InputError::Header(error) = error else { panic!("{text:?}: {error}") };
        assert_eq!((error.code, error.field.as_str()), (code, field), "{text:?}");
        assert!(shown.is_none_or(|shown| error.message.starts_with(shown)), "{}", error.message);
        assert!(!error.message.contains("138") && !error.message.contains("evil") && !error.message.contains("someone"));
    }
}

#[test]
fn quoted_cells_go_over_lines_and_stray_quotes_do_not_swallow_the_file() {
    let (rows, totals) =
        read("postal_address,domain\n\"1 Main St\r\n\nTown\",a.example\n\n x,b.example\n", CSV(), Purpose::Check);
    assert_eq!(values(rows[0].result.as_ref().expect("valid"))[1].1, "1 Main St  Town");
    assert_eq!(rows.iter().map(|row| (row.line, row.lines)).collect::<Vec<_>>(), [(2, 3), (6, 1)]);
    assert_eq!(totals, Totals { lines: 6, rows: 2, skipped: 2, continued: 2 });

    // Never closed: the lines looked at are refused, the rest is read.
    let (rows, _) = read(format!("domain,brand\n\"a.example,x\n{}", "b.example,y\n".repeat(200)), CSV(), Purpose::Check);
    let bad: Vec<_> = rows.iter().filter(|row| row.result.is_err()).map(verdict).collect();
    assert_eq!((rows.len(), bad.len(), bad[0], bad[99]), (201, 100, (2, "QUOTE_OPEN"), (101, "QUOTE_OPEN")));

    // Closed by another stray quote: no line passes for a row it is not, and none hides in a cell.
    let (rows, _) = read("domain,brand\na.example,\"x\nb.example,y\nc.example,\"z\nd.example,w\n", CSV(), Purpose::Check);
    let stray = "QUOTE_STRAY";
    assert_eq!(rows.iter().map(verdict).collect::<Vec<_>>(), [(2, stray), (3, stray), (4, stray), (5, "")]);
    let (rows, _) = read("domain,brand\na.example,\"x\nb.example,y\n\",c.example\n", CSV(), Purpose::Check);
    let count = "CELL_COUNT";
    assert_eq!(rows.iter().map(verdict).collect::<Vec<_>>(), [(2, count), (3, count), (4, count)]);
    let screen = only("domain,brand\na.example,\"5\"\" \"\"x\"\"\"\n", CSV(), Purpose::Submit).expect("valid");
    assert_eq!(screen.statement.expect("a statement").brand, "5\" \"x\"");
    assert_eq!(
        only("domain,brand\na.example,5\" x\n", CSV(), Purpose::Submit).expect("valid").statement.expect("one").brand,
        "5\" x"
    );

    let (rows, _) = read("domain\na.example\n\"b.example\nc.example", CSV(), Purpose::Check);
    assert_eq!(rows.iter().map(verdict).collect::<Vec<_>>(), [(2, ""), (3, "QUOTE_OPEN"), (4, "QUOTE_OPEN")]);
}

#[test]
fn other_delimiters() {
    let semicolon = only("domain;amount;currency\na.example;1,50;EUR\n", Layout::Csv(Delimiter::Semicolon), Purpose::Submit);
    assert_eq!(semicolon.expect_err("refused").code, "AMOUNT_INVALID");
    let tab = only("domain\tbrand\na.example\tx, y\n", Layout::Csv(Delimiter::Tab), Purpose::Submit).expect("valid");
    assert_eq!(tab.statement.expect("a statement").brand, "x, y");
}

#[test]
fn a_bad_object_is_refused_with_its_field_and_without_its_values() {
    for (line, code, field) in [
        ("secret.example", "JSON_INVALID", ""),
        (r#"{"identifiers":{"domain":"secret.example""#, "JSON_INVALID", ""),
        (r#"{"identifiers":{}} {}"#, "JSON_INVALID", ""),
        (r#"["secret.example"]"#, "TYPE_WRONG", ""),
        ("null", "TYPE_WRONG", ""),
        (r#"{"colour":"secret"}"#, "FIELD_UNKNOWN", "colour"),
        (r#"{"secret.example":1}"#, "FIELD_UNKNOWN", "?"),
        (r#"{"amount":"1.50"}"#, "FIELD_UNKNOWN", "amount"),
        (r#"{"identifiers":"secret.example"}"#, "TYPE_WRONG", "identifiers"),
        (r#"{"identifiers":{"secret":"domain"}}"#, "IDENTIFIER_KIND_UNKNOWN", "identifiers"),
        (r#"{"identifiers":{"phone":13800138000}}"#, "TYPE_WRONG", "identifiers.phone"),
        (r#"{"identifiers":{"phone":["1",13800138000]}}"#, "TYPE_WRONG", "identifiers.phone[1]"),
        (r#"{"identifiers":{"domain":"secret.example","domain":"b"}}"#, "FIELD_REPEATED", ""),
        (r#"{"evidence":"secret"}"#, "TYPE_WRONG", "evidence"),
        (r#"{"evidence":[{"kind":"test_purchase"},{"kind":"secret"}]}"#, "EVIDENCE_UNKNOWN", "evidence[1].kind"),
        (r#"{"evidence":[{"kind":"test_purchase","file":"secret"}]}"#, "FIELD_UNKNOWN", "evidence[0].file"),
        (r#"{"evidence":[{"kind":"test_purchase","sha256":[7]}]}"#, "TYPE_WRONG", "evidence[0].sha256[0]"),
        (r#"{"evidence":[{}]}"#, "EVIDENCE_UNKNOWN", "evidence[0].kind"),
        (r#"{"actions":["secret"]}"#, "ACTION_UNKNOWN", "actions"),
        (r#"{"hs_chapter":"42"}"#, "NUMBER_INVALID", "hs_chapter"),
        (r#"{"hs_chapter":4.2}"#, "NUMBER_INVALID", "hs_chapter"),
        (r#"{"goods_value":{"amount_minor":"secret"}}"#, "AMOUNT_INVALID", "goods_value.amount_minor"),
        (r#"{"goods_value":{"amount_minor":1.5}}"#, "AMOUNT_INVALID", "goods_value.amount_minor"),
        (r#"{"goods_value":{"currency":"secret"}}"#, "CURRENCY_UNKNOWN", "goods_value.currency"),
        (r#"{"goods_value":{"count":-1}}"#, "NUMBER_INVALID", "goods_value.count"),
        (r#"{"gtin":4006381333931}"#, "TYPE_WRONG", "gtin"),
        (r#"{"observed_on":"secret"}"#, "DATE_INVALID", "observed_on"),
    ] {
        let error = only(line, Layout::Jsonl, Purpose::Submit).expect_err(line);
        assert_eq!((error.code, error.field.as_str()), (code, field), "{line}");
        assert!(!error.to_string().contains("secret") && !error.to_string().contains("138"), "{error}");
    }
    let deep = format!("{{\"identifiers\":{}", "[".repeat(100_000));
    assert_eq!(only(deep, Layout::Jsonl, Purpose::Check).expect_err("refused").code, "JSON_INVALID");
}

#[test]
fn a_line_that_is_no_text_is_one_bad_row() {
    let long = vec![b'x'; MAX_RECORD_BYTES + 1];
    let text = [b"domain\na\xff\n".as_slice(), b"b.example\n", &long, b"\nc.example\n"].concat();
    let expected = [(2, "NOT_UTF8"), (3, ""), (4, "LINE_TOO_LONG"), (5, "")];
    let (rows, _) = read(&text, CSV(), Purpose::Check);
    assert_eq!(rows.iter().map(verdict).collect::<Vec<_>>(), expected);
    let (rows, _) = read(&text, Layout::Lines(LinesOptions::of(IdentifierKind::Domain)), Purpose::Check);
    assert_eq!(rows.iter().skip(1).map(verdict).collect::<Vec<_>>(), expected);
    let (rows, _) = read(&text, Layout::Jsonl, Purpose::Check);
    assert_eq!(
        rows.iter().map(|row| verdict(row).1).collect::<Vec<_>>(),
        ["JSON_INVALID", "NOT_UTF8", "JSON_INVALID", "LINE_TOO_LONG", "JSON_INVALID"]
    );
}

#[test]
fn reading_stops_at_a_damaged_file_and_says_where() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, "a.example\n".repeat(100_000).as_bytes()).expect("in memory");
    let mut bytes = encoder.finish().expect("in memory");
    bytes.truncate(bytes.len() / 2);
    let layout = Layout::Lines(LinesOptions::of(IdentifierKind::Domain));
    let mut rows = Rows::new(source(bytes), layout, Purpose::Check, Defaults::default()).expect("no header");
    let good = rows.by_ref().take_while(Result::is_ok).count() as u64;
    assert!(good > 0 && rows.next().is_none());
    assert_eq!(rows.totals().rows, good);
    let missing = Source::open(Path::new("/nonexistent/list.txt")).err().expect("missing");
    assert_eq!((missing.code(), missing.to_string().as_str()), ("INPUT_UNREADABLE", "cannot open /nonexistent/list.txt"));
}

#[test]
fn formats_by_extension() {
    for (path, expected) in [
        ("a.csv", Some(Format::Csv)),
        ("b/a.CSV.GZ", Some(Format::Csv)),
        ("a.jsonl", Some(Format::Jsonl)),
        ("a.ndjson.gz", Some(Format::Jsonl)),
        ("a.txt", Some(Format::Lines)),
        ("a.gz", None),
        ("a", None),
        ("-", None),
        ("csv", None),
        ("a.json", None),
    ] {
        assert_eq!(Format::of_path(Path::new(path)), expected, "{path}");
    }
}

#[test]
fn nothing_here_shows_an_identifier_when_debugged() {
    let (rows, _) = read("secret.example\n", Layout::Lines(LinesOptions::of(IdentifierKind::Domain)), Purpose::Check);
    assert_eq!(format!("{rows:?}"), "[Row(1+1, good)]");
}

/// Bytes that hit the grammar often: quotes, delimiters, line ends, braces, marks, broken UTF-8.
fn dirt() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => prop::sample::select(vec![
            "\"", "\"\"", ",", "\n", "\r\n", "\r", "|", "\\", "#", " #!", "!", ";", "||", "^", "*://*.", "/*", "{", "}", "[",
            "]", ":", "domain", "\"identifiers\"", "{\"identifiers\":{\"domain\":\"a.example\"}}", "a.example",
            "0.0.0.0 ", "zq9", "\u{feff}", "\u{a0}",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        2 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_bytes_are_accounted_for(
        bytes in dirt(),
        header in any::<bool>(),
        purpose in prop::sample::select(vec![Purpose::Submit, Purpose::Check, Purpose::Retract]),
    ) {
        let domains = Layout::Lines(LinesOptions::of(IdentifierKind::Domain));
        for layout in [CSV(), Layout::Csv(Delimiter::Tab), Layout::Jsonl, domains] {
            let csv = matches!(layout, Layout::Csv(_));
            let text = if csv && header { [b"domain,brand\n".as_slice(), &bytes].concat() } else { bytes.clone() };
            let ended = u64::from(text.is_empty() || text.ends_with(b"\n"));
            let text_lines = text.split(|b| *b == b'\n').count() as u64 - ended;
            let no_header = csv && Rows::new(source(text.clone()), layout.clone(), purpose, defaults()).is_err();
            if no_header || text.starts_with(&[0x1f, 0x8b]) {
                continue;
            }
            // A byte order mark alone is an empty text.
            let lone_mark = text == "\u{feff}".as_bytes();
            let (rows, totals) = read(text, layout, purpose);
            prop_assert_eq!(totals.lines, if lone_mark { 0 } else { text_lines });
            for error in rows.iter().filter_map(|row| row.result.as_ref().err()) {
                prop_assert!(!error.to_string().contains("zq9"), "{}", error);
            }
        }
    }
}

fn lists() -> Option<PathBuf> {
    let folder = std::env::var_os("COUNTERMARK_DATA")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data")), PathBuf::from);
    let lists = folder.join("lists");
    lists.is_dir().then_some(lists)
}

/// Every list as its maintainers publish it: each line is a row or skipped, and what comes out of domain lists are hosts.
#[test]
fn the_real_lists_are_read_to_the_last_line() {
    let Some(folder) = lists() else {
        eprintln!("skipped: no shared data");
        return;
    };
    let line_ids = LinesOptions {
        strip_prefix: Some("line-page:".into()),
        scheme: Some("line".into()),
        ..LinesOptions::of(IdentifierKind::MessagingAccount)
    };
    for (name, options, rows) in [
        ("durablenapkin", LinesOptions::of(IdentifierKind::Domain), 2_214),
        ("durablenapkin_raw", LinesOptions::of(IdentifierKind::Domain), 0),
        ("exoego", LinesOptions::of(IdentifierKind::Domain), 3_179),
        ("gaso", LinesOptions::of(IdentifierKind::Domain), 11_221),
        ("infinitytec", LinesOptions::of(IdentifierKind::Domain), 0),
        ("shadowwhisperer", LinesOptions::of(IdentifierKind::Domain), 7_307),
        ("tw_scam_sites", LinesOptions::of(IdentifierKind::Domain), 0),
        ("tw_165_line_ids", line_ids, 2_257),
    ] {
        let path = folder.join(format!("{name}.txt.gz"));
        let mut text = Vec::new();
        let file = std::fs::File::open(&path).expect("the list");
        flate2::read::MultiGzDecoder::new(file).read_to_end(&mut text).expect("gzip");
        let lines = text.iter().filter(|b| **b == b'\n').count() + usize::from(!text.ends_with(b"\n"));

        let domains = options.kind == IdentifierKind::Domain;
        let source = Source::open(&path).expect("the list");
        let mut read = Rows::new(source, Layout::Lines(options), Purpose::Submit, defaults()).expect("no header");
        let values: Vec<_> =
            read.by_ref().map(|row| row.expect("readable").result.map(|s| s.identifiers[0].value.clone())).collect();
        let totals = read.totals();
        assert_eq!((totals.lines, totals.rows + totals.skipped), (lines as u64, lines as u64), "{name}");
        assert!(rows == 0 || totals.rows == rows, "{name}: {totals:?}");
        let hosts = values.iter().flatten().filter(|value| if domains { is_host(value) } else { value.starts_with("line:") });
        let share = hosts.count() as f64 / values.len() as f64;
        assert!(share > 0.95, "{name}: {share}");
    }
}

fn is_host(value: &str) -> bool {
    let label = |l: &str| !l.is_empty() && l.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_' || !c.is_ascii());
    value.contains('.') && value.split('.').all(label)
}

/// One list holds three members; every data line belongs to exactly one of them.
#[test]
fn tags_divide_a_list_among_its_members() {
    let Some(folder) = lists() else {
        eprintln!("skipped: no shared data");
        return;
    };
    let count = |tag: Option<&str>| {
        let options = LinesOptions { only_tag: tag.map(str::to_owned), ..LinesOptions::of(IdentifierKind::Domain) };
        let source = Source::open(&folder.join("tw_scam_sites.txt.gz")).expect("the list");
        let mut rows = Rows::new(source, Layout::Lines(options), Purpose::Submit, defaults()).expect("no header");
        assert!(rows.by_ref().all(|row| row.is_ok()));
        let totals = rows.totals();
        assert_eq!(totals.lines, totals.rows + totals.skipped);
        totals.rows
    };
    let by_tag: BTreeMap<_, _> = ["165jtz", "TWNICscams", "cffc"].into_iter().map(|tag| (tag, count(Some(tag)))).collect();
    assert_eq!(by_tag, BTreeMap::from([("165jtz", 26_550), ("TWNICscams", 882), ("cffc", 2_754)]));
    assert_eq!(by_tag.values().sum::<u64>(), count(None));
}
