use crate::domain::Platform;

/// What an id is compared by.
#[derive(Clone, Copy)]
enum Case {
    /// Digits, or names in which upper and lower case mean the same.
    Folded,
    /// Ids of a base-62 or base-64 alphabet, in which they do not.
    Kept,
}

use Case::{Folded, Kept};

/// Id, case, domains. The id of an account is the one in the address of its shop or profile. Domains are those under which the
/// platform itself is reached: a seller who gives one has given nobody's identity. To take `Kept` for `Folded` misses a
/// seller; to take `Folded` for `Kept` takes two sellers for one, so each `Kept` says what its ids look like.
const PLATFORMS: &[(&str, Case, &[&str])] = &[
    ("1688", Folded, &["1688.com"]),
    ("alibaba", Folded, &["alibaba.com"]),
    ("aliexpress", Folded, &["aliexpress.com", "aliexpress.us", "aliexpress.ru"]),
    ("allegro", Folded, &["allegro.pl", "allegro.cz", "allegro.sk", "allegro.hu"]),
    (
        "amazon",
        // Seller ids are capitals and digits.
        Folded,
        &[
            "amazon.ae",
            "amazon.ca",
            "amazon.cn",
            "amazon.co.jp",
            "amazon.co.uk",
            "amazon.co.za",
            "amazon.com",
            "amazon.com.au",
            "amazon.com.be",
            "amazon.com.br",
            "amazon.com.mx",
            "amazon.com.tr",
            "amazon.de",
            "amazon.eg",
            "amazon.es",
            "amazon.fr",
            "amazon.ie",
            "amazon.in",
            "amazon.it",
            "amazon.nl",
            "amazon.pl",
            "amazon.sa",
            "amazon.se",
            "amazon.sg",
        ],
    ),
    ("bol", Folded, &["bol.com"]),
    ("bukalapak", Folded, &["bukalapak.com"]),
    ("cdiscount", Folded, &["cdiscount.com"]),
    ("coupang", Folded, &["coupang.com"]),
    ("depop", Folded, &["depop.com"]),
    ("dhgate", Folded, &["dhgate.com"]),
    // `sec_uid` in the address of a profile is base64.
    ("douyin", Kept, &["douyin.com", "jinritemai.com"]),
    (
        "ebay",
        Folded,
        &[
            "ebay.at",
            "ebay.be",
            "ebay.ca",
            "ebay.ch",
            "ebay.co.uk",
            "ebay.com",
            "ebay.com.au",
            "ebay.com.hk",
            "ebay.com.my",
            "ebay.com.sg",
            "ebay.de",
            "ebay.es",
            "ebay.fr",
            "ebay.ie",
            "ebay.it",
            "ebay.nl",
            "ebay.ph",
            "ebay.pl",
        ],
    ),
    ("emag", Folded, &["emag.ro", "emag.bg", "emag.hu"]),
    ("etsy", Folded, &["etsy.com"]),
    ("facebook-marketplace", Folded, &["facebook.com", "fb.com"]),
    ("flipkart", Folded, &["flipkart.com"]),
    ("hepsiburada", Folded, &["hepsiburada.com"]),
    ("instagram", Folded, &["instagram.com"]),
    ("jd", Folded, &["jd.com", "jd.hk", "jd.id"]),
    ("jumia", Folded, &["jumia.com", "jumia.com.ng", "jumia.com.eg", "jumia.co.ke", "jumia.ma"]),
    ("kaufland", Folded, &["kaufland.de"]),
    ("kuaishou", Folded, &["kuaishou.com", "kwai.com", "kwaixiaodian.com"]),
    (
        "lazada",
        Folded,
        &["lazada.co.id", "lazada.co.th", "lazada.com", "lazada.com.my", "lazada.com.ph", "lazada.sg", "lazada.vn"],
    ),
    ("leboncoin", Folded, &["leboncoin.fr"]),
    ("meesho", Folded, &["meesho.com"]),
    (
        "mercadolibre",
        Folded,
        &[
            "mercadolibre.cl",
            "mercadolibre.com",
            "mercadolibre.com.ar",
            "mercadolibre.com.co",
            "mercadolibre.com.mx",
            "mercadolibre.com.pe",
            "mercadolibre.com.uy",
            "mercadolivre.com.br",
        ],
    ),
    // Shops of businesses have base-62 ids.
    ("mercari", Kept, &["mercari.com"]),
    ("noon", Folded, &["noon.com"]),
    ("ozon", Folded, &["ozon.ru", "ozon.by", "ozon.kz"]),
    ("pinduoduo", Folded, &["pinduoduo.com", "yangkeduo.com"]),
    ("poshmark", Folded, &["poshmark.com"]),
    ("rakuten", Folded, &["rakuten.co.jp", "rakuten.com"]),
    ("redbubble", Folded, &["redbubble.com"]),
    ("shein", Folded, &["shein.com"]),
    (
        "shopee",
        Folded,
        &[
            "shopee.cl",
            "shopee.cn",
            "shopee.co.id",
            "shopee.co.th",
            "shopee.com",
            "shopee.com.br",
            "shopee.com.co",
            "shopee.com.mx",
            "shopee.com.my",
            "shopee.ph",
            "shopee.sg",
            "shopee.tw",
            "shopee.vn",
        ],
    ),
    ("taobao", Folded, &["taobao.com"]),
    ("temu", Folded, &["temu.com"]),
    ("tiktok-shop", Folded, &["tiktok.com"]),
    ("tmall", Folded, &["tmall.com", "tmall.hk"]),
    ("tokopedia", Folded, &["tokopedia.com"]),
    ("trendyol", Folded, &["trendyol.com"]),
    ("vestiaire-collective", Folded, &["vestiairecollective.com"]),
    (
        "vinted",
        Folded,
        &[
            "vinted.be",
            "vinted.co.uk",
            "vinted.com",
            "vinted.de",
            "vinted.es",
            "vinted.fr",
            "vinted.it",
            "vinted.nl",
            "vinted.pl",
        ],
    ),
    ("walmart", Folded, &["walmart.ca", "walmart.com", "walmart.com.mx"]),
    // Account names may be changed; the id of a public account, `__biz`, is base64.
    ("wechat", Kept, &["weixin.qq.com"]),
    ("weidian", Folded, &["weidian.com"]),
    ("whatnot", Folded, &["whatnot.com"]),
    ("wildberries", Folded, &["wildberries.ru", "wb.ru", "wildberries.by", "wildberries.kz"]),
    ("wish", Folded, &["wish.com"]),
    ("xianyu", Folded, &["goofish.com", "xianyu.com"]),
    ("xiaohongshu", Folded, &["xiaohongshu.com", "rednote.com", "xhslink.com"]),
    ("yahoo-auctions-japan", Folded, &["auctions.yahoo.co.jp"]),
    // A channel's id is base64.
    ("youtube", Kept, &["youtube.com", "youtu.be"]),
    (
        "zalando",
        Folded,
        &["zalando.com", "zalando.de", "zalando.fr", "zalando.it", "zalando.nl", "zalando.pl", "zalando.co.uk"],
    ),
];

/// The well-known marketplaces, for the roster of a new alliance; the secretariat adds others.
#[must_use]
pub fn default_platforms() -> Vec<Platform> {
    // A name that is not one would be missing; the test counts.
    PLATFORMS
        .iter()
        .filter_map(|(id, case, domains)| {
            let domains = domains.iter().map(|d| (*d).to_owned()).collect();
            Some(Platform { id: id.parse().ok()?, case_sensitive: matches!(case, Kept), domains })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_platform_stands_once_in_order_with_domains_of_its_own() {
        let platforms = default_platforms();
        assert_eq!(platforms.len(), PLATFORMS.len(), "every id is a platform id");
        assert!(platforms.is_sorted_by(|a, b| a.id < b.id));
        let domains: Vec<&String> = platforms.iter().flat_map(|p| &p.domains).collect();
        assert_eq!(domains.iter().collect::<BTreeSet<_>>().len(), domains.len());
        assert!(platforms.iter().all(|p| !p.domains.is_empty()));
        for domain in domains {
            assert!(idna::domain_to_ascii_strict(domain).is_ok_and(|ascii| ascii == *domain), "{domain}");
            assert!(domain.contains('.') && psl::domain_str(domain).is_some(), "{domain} is a bare suffix");
        }
    }

    #[test]
    fn case_counts_only_where_it_does() {
        let kept: Vec<String> =
            default_platforms().into_iter().filter(|p| p.case_sensitive).map(|p| p.id.to_string()).collect();
        assert_eq!(kept, ["douyin", "mercari", "wechat", "youtube"]);
    }
}
