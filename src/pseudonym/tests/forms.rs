use std::collections::BTreeSet;

use crate::domain::IdentifierKind::{self, *};
use crate::domain::limits::MAX_IDENTIFIER_BYTES;
use crate::pseudonym::Canonicaliser;
use crate::pseudonym::domain::registrable;
use crate::pseudonym::hosts::{HostClass, built_in};

use super::{canonical, canonicaliser, identifier, roster, text};

/// No line stands twice: the second was meant to be written another way, and an editor has "put it right".
fn distinct(cases: &[(&str, &str)]) {
    assert_eq!(cases.iter().collect::<BTreeSet<_>>().len(), cases.len(), "a case stands twice: {cases:?}");
}

/// Each value has the form after it.
fn same(kind: IdentifierKind, cases: &[(&str, &str)]) {
    distinct(cases);
    let canonicaliser = canonicaliser();
    for (value, form) in cases {
        match canonicaliser.canonical(&identifier(kind, value, "")) {
            Ok(found) => assert_eq!(text(&found), *form, "{kind} {value}"),
            Err(refusal) => panic!("{kind} {value} is refused: {refusal}"),
        }
    }
}

/// Each value is refused with the code after it.
fn refused(kind: IdentifierKind, cases: &[(&str, &str)]) {
    distinct(cases);
    let canonicaliser = canonicaliser();
    for (value, code) in cases {
        let refusal = canonicaliser.canonical(&identifier(kind, value, "")).expect_err(value);
        assert_eq!(refusal.code, *code, "{kind} {value}: {refusal}");
        assert!(refusal.message.contains(kind.as_str()), "{refusal} names its kind");
    }
}

#[test]
fn one_phone_number_has_one_form() {
    let ways = [
        ("+8613800138000", ""),
        ("+86 138 0013 8000", ""),
        ("+86-138-0013-8000", "US"),
        ("+86 (138) 0013.8000", "CA"),
        ("tel:+86-138-0013-8000", ""),
        ("TEL:+8613800138000", ""),
        ("\u{202d}+86 138\u{a0}0013\u{a0}8000\u{202c}", ""),
        ("+86 (0) 138 0013 8000", ""),
        (
            "\u{ff0b}\u{ff18}\u{ff16}\u{ff11}\u{ff13}\u{ff18}\u{ff10}\u{ff10}\u{ff11}\u{ff13}\u{ff18}\u{ff10}\u{ff10}\u{ff10}",
            "",
        ),
        ("\u{ff11}\u{ff13}\u{ff18}\u{ff10}\u{ff10}\u{ff11}\u{ff13}\u{ff18}\u{ff10}\u{ff10}\u{ff10}", "CN"),
        ("+86 138‐0013–8000", ""),
        ("13800138000", "CN"),
        ("138 0013 8000", "cn"),
        ("13800138000", " CN "),
        ("0086 138 0013 8000", "CN"),
        ("011 86 138 0013 8000", "US"),
        ("8613800138000", "CN"),
    ];
    distinct(&ways);
    for (value, region) in ways {
        let form = canonical(Phone, value, region).unwrap_or_else(|refusal| panic!("{value} {region}: {refusal}"));
        assert_eq!(text(&form), "+8613800138000", "{value} {region}");
    }
}

#[test]
fn phone_numbers_keep_what_counts() {
    same(
        Phone,
        &[
            ("+44 (0)20 7946 0958", "+442079460958"),
            ("+39 06 698 12345", "+390669812345"),
            ("+886 912 345 678", "+886912345678"),
            ("+49 (0)30 / 1234567", "+49301234567"),
            ("+49 30/1234567-0", "+493012345670"),
            ("+43 1 53115-0", "+431531150"),
            ("+33 1-23-45-67-89", "+33123456789"),
            ("+1 (206) 555-0187", "+12065550187"),
        ],
    );
    refused(
        Phone,
        &[
            ("13800138000", "PHONE_NEEDS_REGION"),
            ("008613800138000", "PHONE_NEEDS_REGION"),
            ("+861380013800012", "PHONE_INVALID"),
            ("+8613800138000 ext. 12", "PHONE_INVALID"),
            ("+8613800138000,12", "PHONE_INVALID"),
            ("call +8613800138000", "PHONE_INVALID"),
            ("+1 800 FLOWERS", "PHONE_INVALID"),
            ("+86+13800138000", "PHONE_INVALID"),
            ("+", "PHONE_INVALID"),
            ("tel:", "PHONE_INVALID"),
            ("+49 30 1234567/8", "PHONE_SEVERAL"),
            ("+49 30 1234567/68", "PHONE_SEVERAL"),
            ("+49 30 1234567 (8)", "PHONE_SEVERAL"),
            ("+49 30 1234567[8]", "PHONE_SEVERAL"),
            ("+49 30 12345678/90", "PHONE_SEVERAL"),
            ("+49 30 12345/67890", "PHONE_SEVERAL"),
            ("+39 06 698 1234-5", "PHONE_SEVERAL"),
            ("+39 06 698 1234 \u{2013} 5", "PHONE_SEVERAL"),
            ("+86 755 8234567\u{ff0f}8", "PHONE_SEVERAL"),
        ],
    );
    // Before a slash stands an area code of five digits at most, after it a whole number.
    for (most, more, region) in [
        ("+49 34929/12345", "+49 349291/23456", ""),
        ("0049 34929/12345", "0049 349291/23456", "DE"),
        ("034929/12345", "0349291/23456", "DE"),
    ] {
        let form = canonical(Phone, most, region).unwrap_or_else(|refusal| panic!("{most}: {refusal}"));
        assert_eq!(text(&form), "+493492912345", "{most}");
        assert_eq!(canonical(Phone, more, region).expect_err(more).code, "PHONE_SEVERAL", "{more}");
    }
    let refusal = canonical(Phone, "13800138000", "ZZ").expect_err("no such region");
    assert_eq!((refusal.code, refusal.field.as_str()), ("REGION_UNKNOWN", "region"));
    assert_eq!(canonical(Phone, "13800138000", "001").expect_err("no country").code, "REGION_UNKNOWN");
}

#[test]
fn below_debug_the_phone_library_says_nothing() {
    assert!(log::STATIC_MAX_LEVEL <= log::LevelFilter::Debug, "rlibphonenumber traces the numbers that it reads");
}

#[test]
fn a_domain_is_the_registrable_one() {
    same(
        Domain,
        &[
            ("fake-shop.com", "fake-shop.com"),
            (" HTTPS://User:pw@WWW.Fake-Shop.com:8443/a?b#c ", "fake-shop.com"),
            ("*://*.fake-shop.com/*", "fake-shop.com"),
            ("*.fake-shop.com", "fake-shop.com"),
            ("fake-shop.com./x", "fake-shop.com"),
            ("//cdn.fake-shop.com", "fake-shop.com"),
            ("fake-shop.com?to=https://other.example/", "fake-shop.com"),
            ("a.b.fake-shop.co.uk", "fake-shop.co.uk"),
            ("x.myshopify.com", "x.myshopify.com"),
            ("www.x.myshopify.com", "x.myshopify.com"),
            ("my_store.myshopify.com", "my_store.myshopify.com"),
            ("Bücher.example", "xn--bcher-kva.example"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("faß.de", "xn--fa-hia.de"),
            ("fass.de", "fass.de"),
            ("аррӏе.com", "xn--80ak6aa92e.com"),
            ("店.公司.cn", "xn--hxt.xn--55qx5d.cn"),
            ("a.hchdg.中国", "hchdg.xn--fiqs8s"),
            ("fake-shop.newtld", "fake-shop.newtld"),
            ("www.host.example", "host.example"),
        ],
    );
    refused(
        Domain,
        &[
            ("co.uk", "DOMAIN_IS_PUBLIC_SUFFIX"),
            ("https://myshopify.com/", "DOMAIN_IS_PUBLIC_SUFFIX"),
            ("tmall.com", "DOMAIN_IS_PLATFORM"),
            ("shop123.tmall.com", "DOMAIN_IS_PLATFORM"),
            ("seller.taobao.com", "DOMAIN_IS_PLATFORM"),
            ("www.tube.example", "DOMAIN_IS_PLATFORM"),
            ("amazon.co.uk", "DOMAIN_IS_PLATFORM"),
            ("weebly.com", "DOMAIN_IS_SHARED_HOST"),
            ("wordpress.com", "DOMAIN_IS_SHARED_HOST"),
            ("x.mall.example", "DOMAIN_IS_SHARED_HOST"),
            ("a.stores.host.example", "DOMAIN_IS_SHARED_HOST"),
            ("192.0.2.1", "DOMAIN_IS_ADDRESS"),
            ("http://0x7f.1/", "DOMAIN_IS_ADDRESS"),
            ("[2001:db8::1]:443", "DOMAIN_IS_ADDRESS"),
            ("2001:db8::1", "DOMAIN_IS_ADDRESS"),
            ("bob@fake-shop.com", "IDENTIFIER_INVALID"),
            ("localhost", "IDENTIFIER_INVALID"),
            ("a..example", "IDENTIFIER_INVALID"),
            ("fake shop.com", "IDENTIFIER_INVALID"),
            ("0912.345.678", "IDENTIFIER_INVALID"),
            ("fake-shop.com:no", "IDENTIFIER_INVALID"),
            ("&lt;b&gt;.com", "IDENTIFIER_INVALID"),
        ],
    );
}

#[test]
fn a_url_is_the_page() {
    same(
        Url,
        &[
            ("http://Fake-Shop.com:80/Item/1?id=2#top", "https://fake-shop.com/Item/1?id=2"),
            ("https://fake-shop.com/Item/1?id=2&utm_source=x&fbclid=y", "https://fake-shop.com/Item/1?id=2"),
            ("fake-shop.com/Item/1?spm=a.b&id=2", "https://fake-shop.com/Item/1?id=2"),
            ("//fake-shop.com./Item/1?id=2", "https://fake-shop.com/Item/1?id=2"),
            ("https://user:pw@fake-shop.com/Item/1?id=2", "https://fake-shop.com/Item/1?id=2"),
            ("https://fake-shop.com/a?x=1&amp;y=2", "https://fake-shop.com/a?x=1&y=2"),
            ("https://fake-shop.com/a?x=1&amp;amp;y=2", "https://fake-shop.com/a?x=1&y=2"),
            ("https://fake-shop.com/a?gclid=1", "https://fake-shop.com/a"),
            ("fake-shop.com/a?u=https://x.example/", "https://fake-shop.com/a?u=https://x.example/"),
            ("https://fake-shop.com/a/../b", "https://fake-shop.com/b"),
            ("https://bücher.example/ü", "https://xn--bcher-kva.example/%C3%BC"),
            ("https://shop123.tmall.com/", "https://shop123.tmall.com/"),
            ("https://item.taobao.com/item.htm?spm=1&id=42", "https://item.taobao.com/item.htm?id=42"),
            ("http://fake-shop.com:443/a", "https://fake-shop.com/a"),
            ("https://fake-shop.com:8443/a", "https://fake-shop.com:8443/a"),
            ("https://fake-shop.com/a?itemID&#x3D;111", "https://fake-shop.com/a?itemID=111"),
            ("https://fake-shop.com/a?itemID&#61;222", "https://fake-shop.com/a?itemID=222"),
            ("https://fake-shop.com/a?x=1&#0038;y=2", "https://fake-shop.com/a?x=1&y=2"),
            ("https://fake-shop.com/a?x=1&amp;#X26;y=2", "https://fake-shop.com/a?x=1&y=2"),
            ("https://fake-shop.com/a&#63;id=3", "https://fake-shop.com/a?id=3"),
            ("https://fake-shop.com/a?b=1&#top", "https://fake-shop.com/a?b=1"),
            ("https://fake-shop.com/a?b=1&#xyz", "https://fake-shop.com/a?b=1"),
            ("https://fake-shop.com/a?pvid=1", "https://fake-shop.com/a?pvid=1"),
            ("https://shop123.m.taobao.com/", "https://shop123.m.taobao.com/"),
            ("https://item.weebly.com/", "https://item.weebly.com/"),
        ],
    );
    refused(
        Url,
        &[
            ("https://fake-shop.com", "URL_IS_DOMAIN"),
            ("https://www.fake-shop.com/?utm_source=x", "URL_IS_DOMAIN"),
            ("https://x.myshopify.com/", "URL_IS_DOMAIN"),
            ("https://www.tmall.com/", "DOMAIN_IS_PLATFORM"),
            ("https://weebly.com/#a", "DOMAIN_IS_SHARED_HOST"),
            ("https://item.taobao.com/?spm=1", "DOMAIN_IS_PLATFORM"),
            ("https://detail.m.tmall.com/", "DOMAIN_IS_PLATFORM"),
            ("https://world.taobao.com", "DOMAIN_IS_PLATFORM"),
            ("https://pt.aliexpress.com/", "DOMAIN_IS_PLATFORM"),
            ("https://fake-shop.com/#/shop?id=1", "URL_FRAGMENT_ROUTE"),
            ("https://fake-shop.com/a#!shop=1", "URL_FRAGMENT_ROUTE"),
            ("https://fake-shop.com/a&#35;/shop", "URL_FRAGMENT_ROUTE"),
            ("https://fake-shop.com/a?x=1&#38b=2", "URL_ESCAPED"),
            ("https://fake-shop.com/a?itemID&#x3D111", "URL_ESCAPED"),
            ("https://fake-shop.com/a?x=1&#1114112;b", "URL_ESCAPED"),
            ("https://fake-shop.com/a?x=1&#99999999999;b", "URL_ESCAPED"),
            ("https://fake-shop.com/a&#10;b", "URL_ESCAPED"),
            ("https://co.uk/", "DOMAIN_IS_PUBLIC_SUFFIX"),
            ("ftp://fake-shop.com/a", "URL_SCHEME"),
            ("javascript:alert(1)", "IDENTIFIER_INVALID"),
            ("mailto:bob@fake-shop.com", "URL_IS_DOMAIN"),
            ("http://localhost/a", "IDENTIFIER_INVALID"),
            ("http:///a b", "IDENTIFIER_INVALID"),
        ],
    );
}

#[test]
fn an_email_address_is_its_mailbox() {
    same(
        Email,
        &[
            ("Bob@Fake-Shop.COM", "bob@fake-shop.com"),
            ("mailto:bob@fake-shop.com", "bob@fake-shop.com"),
            ("bob\u{ff20}fake-shop.com", "bob@fake-shop.com"),
            ("bob@bücher.example", "bob@xn--bcher-kva.example"),
            ("B.o.b+shop@googlemail.com", "bob@gmail.com"),
            ("bob@GMAIL.com", "bob@gmail.com"),
            ("b.o.b+shop@fake-shop.com", "b.o.b+shop@fake-shop.com"),
            ("straße@fake-shop.com", "straße@fake-shop.com"),
        ],
    );
    refused(
        Email,
        &[
            ("\"bob smith\"@fake-shop.com", "EMAIL_QUOTED"),
            ("Bob <bob@fake-shop.com>", "IDENTIFIER_INVALID"),
            ("bob@[192.0.2.1]", "IDENTIFIER_INVALID"),
            ("bob@localhost", "IDENTIFIER_INVALID"),
            ("bob", "IDENTIFIER_INVALID"),
            (".bob@fake-shop.com", "IDENTIFIER_INVALID"),
            ("+tag@gmail.com", "IDENTIFIER_INVALID"),
            ("a@b@fake-shop.com", "IDENTIFIER_INVALID"),
        ],
    );
}

#[test]
fn a_bank_account_has_one_form() {
    same(
        BankAccount,
        &[
            ("DE44500105175407324931", "DE44500105175407324931"),
            ("de44 5001 0517 5407 3249 31", "DE44500105175407324931"),
            ("IBAN: DE44-5001-0517-5407-3249-31", "DE44500105175407324931"),
            ("gb29nwbk60161331926819", "GB29NWBK60161331926819"),
            ("cn: icbkcnbj : 6222 0212 0700-1234", "CN:ICBKCNBJ:6222021207001234"),
            ("CN:ICBKCNBJXXX:6222021207001234", "CN:ICBKCNBJ:6222021207001234"),
            ("CN:102100099996:6222021207001234", "CN:102100099996:6222021207001234"),
            ("US:021000021:0123456789", "US:021000021:0123456789"),
            ("US:CHASUS33XXX:1234", "US:CHASUS33:1234"),
            ("US:12345678XXX:1234", "US:12345678XXX:1234"),
            ("US:CHASXXX:1234", "US:CHASXXX:1234"),
        ],
    );
    refused(
        BankAccount,
        &[
            ("DE45500105175407324931", "IBAN_INVALID"),
            ("DE4450010517540732493", "IBAN_INVALID"),
            ("CN44500105175407324931", "IBAN_INVALID"),
            ("DE:50010517:5407324931", "IBAN_REQUIRED"),
            ("GB:601613:31926819", "IBAN_REQUIRED"),
            ("JE:601613:31926819", "IBAN_REQUIRED"),
            ("RE:20041:0500013", "IBAN_REQUIRED"),
            ("QQ:1:2", "COUNTRY_UNKNOWN"),
            ("6222021207001234", "IDENTIFIER_INVALID"),
            ("CN:ICBK", "IDENTIFIER_INVALID"),
            ("CN::1", "IDENTIFIER_INVALID"),
            ("CN:a/b:1", "IDENTIFIER_INVALID"),
        ],
    );
}

#[test]
fn every_iban_country_is_known_by_its_iban() {
    let with = ["AD", "BR", "CH", "EG", "FR", "IE", "NO", "RU", "SA", "TR", "UA", "XK"];
    let without = ["CN", "HK", "TW", "US", "CA", "AU", "JP", "KR", "IN", "VN", "TH", "SG", "MX", "NG", "ZA"];
    assert!(with.iter().all(|c| crate::pseudonym::country::uses_iban(c)));
    assert!(!without.iter().any(|c| crate::pseudonym::country::uses_iban(c)));
}

#[test]
fn a_licence_is_checked() {
    same(
        BusinessLicence,
        &[
            ("91110000600037341L", "91110000600037341L"),
            ("91110000600037341l", "91110000600037341L"),
            ("9111 0000 6000 3734 1L", "91110000600037341L"),
            (
                "\u{ff19}\u{ff11}\u{ff11}\u{ff11}\u{ff10}\u{ff10}\u{ff10}\u{ff10}\u{ff16}\u{ff10}\u{ff10}\u{ff10}\u{ff13}\u{ff17}\u{ff13}\u{ff14}\u{ff11}\u{ff2c}",
                "91110000600037341L",
            ),
            ("91350100M000100Y43", "91350100M000100Y43"),
            ("9111000060003734F0", "9111000060003734F0"),
            ("de : hrb münchen : 123 456", "DE:MUENCHEN-HRB:123456"),
            ("DE:Muenchen-HRB:123456", "DE:MUENCHEN-HRB:123456"),
            ("DE:Frankfurt am Main HRA:12345", "DE:FRANKFURTAMMAIN-HRA:12345"),
            ("DE:Charlottenburg-HRB:123456 B", "DE:CHARLOTTENBURG-HRB:123456B"),
            ("IT:rea:MI-1234567", "IT:REA:MI-1234567"),
            ("IL:companies:123\u{2013}4", "IL:COMPANIES:123-4"),
            ("IL:companies:12-34", "IL:COMPANIES:12-34"),
            ("GB:companies-house:01234567", "GB:COMPANIESHOUSE:01234567"),
        ],
    );
    refused(
        BusinessLicence,
        &[
            ("91110000600037341M", "USCC_CHECK"),
            ("91110000600037314L", "USCC_CHECK"),
            ("9111OOOO600037341L", "USCC_CHARACTER"),
            ("9111000060003734IL", "USCC_CHARACTER"),
            ("110000600037341", "USCC_LENGTH"),
            ("CN:beijing:110000600037341", "USCC_REQUIRED"),
            ("QQ:a:1", "COUNTRY_UNKNOWN"),
            ("DE:HRB:123-4", "REGISTER_COURT"),
            ("DE:HRB:12-34", "REGISTER_COURT"),
            ("DE:München:123", "REGISTER_COURT"),
            ("DE:Berlin-Charlottenburg:123", "REGISTER_COURT"),
            ("DE:München-HRB:123ABCD", "IDENTIFIER_INVALID"),
            ("DE:München-HRB:123-4", "IDENTIFIER_INVALID"),
            ("DE:München-HRB:HRB123", "IDENTIFIER_INVALID"),
            ("GB:companies-house:-1", "IDENTIFIER_INVALID"),
            ("DE::1", "REGISTER_COURT"),
            ("GB::1", "IDENTIFIER_INVALID"),
            ("DE:1", "IDENTIFIER_INVALID"),
        ],
    );
}

#[test]
fn a_marketplace_account_follows_its_platform() {
    same(
        MarketplaceAccount,
        &[
            ("taobao:Shop_123", "taobao:shop_123"),
            (" TAOBAO : Shop_123", "taobao:shop_123"),
            ("taobao:旗舰店", "taobao:旗舰店"),
            ("tube:UCaBc", "tube:UCaBc"),
            ("tube:a:b", "tube:a:b"),
        ],
    );
    refused(
        MarketplaceAccount,
        &[
            ("nowhere:1", "PLATFORM_UNKNOWN"),
            ("taobao", "IDENTIFIER_INVALID"),
            ("taobao:", "IDENTIFIER_INVALID"),
            ("taobao:a b", "IDENTIFIER_INVALID"),
            ("taobao:a\u{200b}b", "IDENTIFIER_INVALID"),
        ],
    );
}

#[test]
fn a_messaging_account_follows_its_scheme() {
    same(
        MessagingAccount,
        &[
            ("line:kgi2492f", "line:kgi2492f"),
            ("LINE: TrustGlobal001", "line:trustglobal001"),
            ("line:@abc.def", "line:@abc.def"),
            ("line:su_lin-2.0", "line:su_lin-2.0"),
            ("whatsapp:+86 138 0013 8000", "whatsapp:+8613800138000"),
            ("telegram:@Fake_Shop", "telegram:fake_shop"),
            ("telegram:+86 138 0013 8000", "telegram:+8613800138000"),
            ("telegram:123456789", "telegram:123456789"),
            ("x:@123456789", "x:@123456789"),
            ("x:123456789", "x:123456789"),
            ("x:@Fake_Shop1", "x:fake_shop1"),
            ("youtube:UCabcdefghijKLMNOPQRST-_", "youtube:UCabcdefghijKLMNOPQRST-_"),
            ("youtube:UCabcdefghijKLMNOPQRST-x", "youtube:UCabcdefghijKLMNOPQRST-x"),
            ("youtube:@UCabcdefghijKLMNOPQRST-_", "youtube:ucabcdefghijklmnopqrst-_"),
            ("youtube:@Fake.Shop", "youtube:fake.shop"),
            ("skype:live:.cid.abc", "skype:live:.cid.abc"),
            ("qq:123 456 789", "qq:123456789"),
            ("qq:12345", "qq:12345"),
        ],
    );
    refused(
        MessagingAccount,
        &[
            ("icq:1", "SCHEME_UNKNOWN"),
            ("line:https://line.me/ti/p/x", "IDENTIFIER_INVALID"),
            ("line:", "IDENTIFIER_INVALID"),
            ("kgi2492f", "IDENTIFIER_INVALID"),
            ("qq:abc", "IDENTIFIER_INVALID"),
            ("qq:1234a", "IDENTIFIER_INVALID"),
            ("qq:1234", "IDENTIFIER_INVALID"),
            ("whatsapp:13800138000", "PHONE_NEEDS_REGION"),
            ("telegram:@+8613800138000", "IDENTIFIER_INVALID"),
            ("telegram:@123456789", "IDENTIFIER_INVALID"),
        ],
    );
    let refusal = canonical(MessagingAccount, "icq:1", "").expect_err("unknown");
    assert!(refusal.message.contains("wechat"), "names the known ones");
}

#[test]
fn a_payment_account_follows_its_scheme() {
    same(
        PaymentAccount,
        &[
            ("paypal:Bob@Fake-Shop.com", "paypal:bob@fake-shop.com"),
            ("alipay:+86 138 0013 8000", "alipay:+8613800138000"),
            ("alipay:2088 1234 5678 9012", "alipay:2088123456789012"),
            ("alipay:bob@fake-shop.com", "alipay:bob@fake-shop.com"),
            ("eth:0x52908400098527886E0F7030069857D2E4169EE7", "eth:0x52908400098527886e0f7030069857d2e4169ee7"),
            ("btc:BC1QAR0SRRR7XFKVY5L643LYDNW9RE59GTZZWF5MDQ", "btc:bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"),
            ("btc:1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", "btc:1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2"),
            ("trx:TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t", "trx:TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"),
            ("stripe:acct_1aBc", "stripe:acct_1aBc"),
            ("payoneer:1234567", "payoneer:1234567"),
            ("upi:7", "upi:7"),
            ("btc:1111111111111111111114oLvT", "btc:1111111111111111111114oLvT"),
            ("btc:bc1qqqqqqqqqqq", "btc:bc1qqqqqqqqqqq"),
        ],
    );
    refused(
        PaymentAccount,
        &[
            ("paypal:bob", "IDENTIFIER_INVALID"),
            ("eth:52908400098527886E0F7030069857D2E4169EE7", "IDENTIFIER_INVALID"),
            ("eth:0x52908400098527886E0F7030069857D2E4169EE", "IDENTIFIER_INVALID"),
            ("eth:0x52908400098527886E0F7030069857D2E4169EEG", "IDENTIFIER_INVALID"),
            ("alipay:2088 1234 5678 901", "PHONE_NEEDS_REGION"),
            ("alipay:2088 1234 5678 90123", "PHONE_NEEDS_REGION"),
            ("btc:111111111111111111111oLvT", "IDENTIFIER_INVALID"),
            ("btc:1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2ab", "IDENTIFIER_INVALID"),
            ("btc:1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN0", "IDENTIFIER_INVALID"),
            ("btc:1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN-", "IDENTIFIER_INVALID"),
            ("btc:bc1qqqqqqqqqq", "IDENTIFIER_INVALID"),
            ("btc:bc1Qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", "IDENTIFIER_INVALID"),
            ("bitcoin:1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", "SCHEME_UNKNOWN"),
        ],
    );
    // BIP 173: at most 90 characters.
    let longest = format!("btc:bc1{}", "q".repeat(87));
    same(PaymentAccount, &[(&longest, &longest)]);
    refused(PaymentAccount, &[(&format!("{longest}q"), "IDENTIFIER_INVALID")]);
}

#[test]
fn a_tax_number_follows_its_scheme() {
    same(
        TaxId,
        &[
            ("vat:de 123.456.789", "vat:DE123456789"),
            ("VAT:EL123456789", "vat:EL123456789"),
            ("us-ein:12-3456789", "us-ein:123456789"),
            ("US-SSN:123-45-6789", "us-ssn:123456789"),
            ("us-itin:912-70-1234", "us-itin:912701234"),
            ("ca-bn:123456789 RT 0001", "ca-bn:123456789"),
            ("ca-bn:123456789", "ca-bn:123456789"),
            ("ca-sin:123 456 789", "ca-sin:123456789"),
            ("de-stnr:9181 0815 08155", "de-stnr:9181081508155"),
            ("de-idnr:86 095 742 719", "de-idnr:86095742719"),
            ("gb-utr:12345 67890", "gb-utr:1234567890"),
            ("gb-nino:qq 12 34 56 c", "gb-nino:QQ123456C"),
            ("vat:FR12", "vat:FR12"),
            ("au-abn:51 824 753 556", "au-abn:51824753556"),
            ("br:12.345.678/0001-90", "br:12345678000190"),
            ("jp:7000012050002", "jp:7000012050002"),
            ("cn:91110000600037341l", "cn:91110000600037341L"),
        ],
    );
    refused(
        TaxId,
        &[
            ("vat:123456789", "IDENTIFIER_INVALID"),
            ("vat:GR123456789", "IDENTIFIER_INVALID"),
            ("vat:FR1", "IDENTIFIER_INVALID"),
            ("gb-nino:Q1123456C", "IDENTIFIER_INVALID"),
            ("gb-nino:QQA23456C", "IDENTIFIER_INVALID"),
            ("gb-nino:QQ12345AC", "IDENTIFIER_INVALID"),
            ("gb-nino:QQ1234567", "IDENTIFIER_INVALID"),
            ("gb-nino:QQ123456", "IDENTIFIER_INVALID"),
            ("gb-nino:QQ123456CC", "IDENTIFIER_INVALID"),
            ("fr:FR123456789", "IDENTIFIER_INVALID"),
            ("us:12-3456789", "SCHEME_AMBIGUOUS"),
            ("ca:123456789", "SCHEME_AMBIGUOUS"),
            ("de:12/345/67890", "SCHEME_AMBIGUOUS"),
            ("de:DE123456789", "SCHEME_AMBIGUOUS"),
            ("de-stnr:12/345/67890", "IDENTIFIER_INVALID"),
            ("us-ein:12345678", "IDENTIFIER_INVALID"),
            ("us-ein:12345678A", "IDENTIFIER_INVALID"),
            ("us-itin:123-45-6789", "IDENTIFIER_INVALID"),
            ("ca-bn:123456789 RT", "IDENTIFIER_INVALID"),
            ("ca-bn:123456789 R10001", "IDENTIFIER_INVALID"),
            ("ca-bn:123456789 RTA001", "IDENTIFIER_INVALID"),
            ("za:12/345", "IDENTIFIER_INVALID"),
            ("za:1/2345", "IDENTIFIER_INVALID"),
            ("us-abc:1", "SCHEME_UNKNOWN"),
            ("qq:1", "SCHEME_UNKNOWN"),
            ("123", "IDENTIFIER_INVALID"),
        ],
    );
    let longest = format!("jp:{}", "7".repeat(32));
    same(TaxId, &[(&longest, &longest)]);
    refused(TaxId, &[(&format!("{longest}7"), "IDENTIFIER_INVALID")]);
}

#[test]
fn a_name_is_what_a_reader_sees() {
    let form = |value| text(&canonical(LegalName, value, "").expect(value)).to_owned();
    for alike in [
        "NIKE, Inc.",
        "nike inc",
        "Nike  Inc",
        "Νіkе Inc",
        "nike\u{200b} inc",
        "\u{ff2e}\u{ff29}\u{ff2b}\u{ff25} inc",
        "「Nike」·Inc",
    ] {
        assert_eq!(form(alike), form("Nike Inc."), "{alike}");
    }
    assert_eq!(form("ÎLE"), form("île"));
    assert_eq!(form("STRASSE"), form("Straße"));
    assert_ne!(form("深圳市腾讯计算机系统有限公司"), form("深圳市腾讯"));
    assert_eq!(canonical(PostalAddress, "---", "").expect_err("no letters").code, "IDENTIFIER_INVALID");
}

#[test]
fn what_holds_for_every_kind() {
    for &kind in IdentifierKind::ALL {
        let long = "1".repeat(MAX_IDENTIFIER_BYTES + 1);
        refused(kind, &[("", "IDENTIFIER_EMPTY"), (" \u{feff}\t", "IDENTIFIER_EMPTY"), ("a\u{7}b", "IDENTIFIER_INVALID")]);
        refused(kind, &[(&long, "IDENTIFIER_TOO_LONG")]);
    }
    let longest = "a".repeat(MAX_IDENTIFIER_BYTES);
    same(LegalName, &[(&longest, &longest)]);
    let (label, rest) = ("a".repeat(63), "a".repeat(57));
    let name = format!("{label}.{label}.{label}.{rest}.com");
    same(Domain, &[(&name, &format!("{rest}.com")), (&format!("{label}.com"), &format!("{label}.com"))]);
    refused(
        Domain,
        &[
            (&format!("{label}.{label}.{label}.{rest}a.com"), "IDENTIFIER_INVALID"),
            (&format!("{label}a.com"), "IDENTIFIER_INVALID"),
        ],
    );
    let grows = "\u{fdfa}".repeat(600);
    refused(LegalName, &[(&grows, "IDENTIFIER_TOO_LONG")]);
}

#[test]
fn the_pinned_list_has_no_dead_line() {
    let lines: Vec<(&str, HostClass)> = built_in().collect();
    for (domain, _) in &lines {
        assert_eq!(registrable(domain), Some(*domain), "a public suffix or deeper name never matches");
    }
    for class in [HostClass::Platform, HostClass::Shared] {
        let names: Vec<&str> = lines.iter().filter(|(_, c)| *c == class).map(|(d, _)| *d).collect();
        assert!(names.len() > 100 && names.is_sorted());
    }
    let distinct: std::collections::BTreeSet<&str> = lines.iter().map(|(d, _)| *d).collect();
    assert_eq!(distinct.len(), lines.len());
}

#[test]
fn a_roster_with_a_broken_domain_is_refused() {
    let mut roster = roster();
    roster.policy.shared_hosts.insert("no domain".into());
    let refusal = Canonicaliser::new(&roster).expect_err("refused");
    assert_eq!((refusal.code, refusal.field.as_str()), ("ROSTER_DOMAIN_INVALID", "policy.shared_hosts"));
}
