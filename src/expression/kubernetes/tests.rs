//! Values as Kubernetes' own tests of its library tell them (apiserver pkg/cel/library/*_test.go);
//! `tests/it/contract/rules.yaml` asks the real API server.

use serde_json::Value;

use crate::expression::Expression;

/// Each is true.
const TRUE: &[&str] = &[
    "isQuantity('1.3Gi') && isQuantity('20') && !isQuantity('20Mo')",
    "quantity('50k').isInteger() && !quantity('0.5').isInteger()",
    "quantity('50k').asInteger() == 50000",
    "quantity('0.25').asApproximateFloat() == 0.25",
    "quantity('1Gi').isGreaterThan(quantity('1G'))",
    "quantity('50M').isLessThan(quantity('100M'))",
    "quantity('200M') == quantity('0.2G')",
    "quantity('50k').add(quantity('20')) == quantity('50020')",
    "quantity('50k').add(20).sub(20) == quantity('50k')",
    "quantity('50k').sub(quantity('20')).compareTo(quantity('49980')) == 0",
    "sign(quantity('-1')) == -1 && sign(quantity('0')) == 0 && sign(quantity('1')) == 1",
    "isIP('192.168.0.1') && isIP('::1') && !isIP('192.168.0.1.0') && !isIP('::ffff:1.2.3.4')",
    "!isIP('fe80::1%en0') && !isIP('01.2.3.4')",
    "ip('192.168.0.1').family() == 4 && ip('2001:db8::68').family() == 6",
    "ip.isCanonical('127.0.0.1') && ip.isCanonical('2001:db8::abcd')",
    "!ip.isCanonical('2001:DB8::ABCD')",
    "ip('0.0.0.0').isUnspecified() && !ip('127.0.0.1').isUnspecified()",
    "ip('127.0.0.1').isLoopback() && ip('::1').isLoopback()",
    "ip('224.0.0.1').isLinkLocalMulticast() && !ip('224.0.1.1').isLinkLocalMulticast()",
    "ip('ff02::1').isLinkLocalMulticast() && !ip('fd00::1').isLinkLocalMulticast()",
    "ip('169.254.169.254').isLinkLocalUnicast() && ip('fe80::1').isLinkLocalUnicast()",
    "ip('192.168.0.1').isGlobalUnicast() && !ip('255.255.255.255').isGlobalUnicast()",
    "string(ip('2001:DB8::ABCD')) == '2001:db8::abcd'",
    "ip('::1') == ip('0:0:0:0:0:0:0:1')",
    "isCIDR('192.168.0.0/16') && !isCIDR('192.168.0.0') && !isCIDR('192.168.0.0/33')",
    "!isCIDR('192.168.0.0/016') && !isCIDR('::ffff:1.2.3.4/112')",
    "cidr('192.168.0.0/24').containsIP(ip('192.168.0.1'))",
    "cidr('192.168.0.0/24').containsIP('192.168.0.1')",
    "!cidr('192.168.0.0/24').containsIP('192.168.1.1')",
    "cidr('192.168.0.0/16').containsCIDR(cidr('192.168.10.0/24'))",
    "!cidr('192.168.10.0/24').containsCIDR('192.168.0.0/16')",
    "cidr('192.168.1.0/24').ip() == ip('192.168.1.0')",
    "cidr('192.168.1.5/24').masked() == cidr('192.168.1.0/24')",
    "cidr('::1/128').prefixLength() == 128",
    "string(cidr('10.0.0.1/8')) == '10.0.0.1/8'",
    "isURL('https://example.com:80/') && isURL('/path') && !isURL('../relative') && !isURL('')",
    "url('https://user:pass@example.com:80/a%20b?k=1&k=2&z=').getHost() == 'example.com:80'",
    "url('https://example.com:80/').getHostname() == 'example.com'",
    "url('https://[::1]:80/').getHostname() == '::1' && url('https://[::1]:80/').getHost() == '[::1]:80'",
    "url('https://example.com:80/').getPort() == '80' && url('/path').getPort() == ''",
    "url('/path').getScheme() == '' && url('https://example.com/').getScheme() == 'https'",
    "url('https://example.com/a b').getEscapedPath() == '/a%20b'",
    "url('https://example.com/?k=a&k=b&k2=c').getQuery() == {'k': ['a', 'b'], 'k2': ['c']}",
    "url('https://example.com/').getQuery() == {}",
    "!format.dns1123Label().validate('my-label').hasValue()",
    "format.dns1123Label().validate('My').value() == ['a lowercase RFC 1123 label must consist of lower case alphanumeric characters or \\'-\\', and must start and end with an alphanumeric character (e.g. \\'my-name\\',  or \\'123-abc\\', regex used for validation is \\'[a-z0-9]([-a-z0-9]*[a-z0-9])?\\')']",
    "!format.dns1123Subdomain().validate('a.b').hasValue() && format.dns1123Subdomain().validate('a..b').hasValue()",
    "!format.dns1035Label().validate('a1').hasValue() && format.dns1035Label().validate('1a').hasValue()",
    "!format.dns1123LabelPrefix().validate('a-').hasValue()",
    "!format.qualifiedName().validate('example.com/name').hasValue() && format.qualifiedName().validate('a/b/c').hasValue()",
    "!format.labelValue().validate('').hasValue() && format.labelValue().validate('-a').hasValue()",
    "!format.uri().validate('https://example.com').hasValue()",
    "!format.uuid().validate('123e4567-e89b-12d3-a456-426614174000').hasValue() && format.uuid().validate('x').hasValue()",
    "!format.byte().validate('aGVsbG8=').hasValue() && format.byte().validate('a').hasValue()",
    "!format.date().validate('2021-01-31').hasValue() && format.date().validate('2021-02-31').hasValue()",
    "!format.datetime().validate('2021-01-01T00:00:00Z').hasValue()",
    "format.named('uri').hasValue() && !format.named('nothing').hasValue()",
    "format.named('uri').value().validate('a b').hasValue()",
    "isSemver('1.2.3-rc.1') && !isSemver('v1.2.3') && !isSemver('1.2')",
    "isSemver('v1.0', true) && isSemver('01.01.01', true) && !isSemver('one', true)",
    "semver('1.2.3').major() == 1 && semver('1.2.3').minor() == 2 && semver('1.2.3').patch() == 3",
    "semver('1.2.3').isLessThan(semver('1.2.4')) && semver('1.0.0').isGreaterThan(semver('1.0.0-rc.1'))",
    "semver('1.2.3').compareTo(semver('1.2.3')) == 0 && semver('v1.0', true) == semver('1.0.0')",
    "[1, 2, 2].isSorted() && ![2, 1].isSorted() && [].isSorted()",
    "[1, 3].sum() == 4 && [1.5, 2.5].sum() == 4.0 && [].sum() == 0",
    "[1, 3].min() == 1 && ['a', 'b'].max() == 'b'",
    "[1, 2, 2, 3].indexOf(2) == 1 && [1, 2, 2, 3].lastIndexOf(2) == 2 && [1].indexOf(4) == -1",
    "sets.contains([1, 2, 3], [2, 1]) && !sets.contains([1], [2]) && sets.contains([], [])",
    "sets.equivalent([1, 2], [2, 1, 1]) && !sets.equivalent([1], [1, 2])",
    "sets.intersects([1], [1, 2]) && !sets.intersects([1], [2])",
    "'abc 123'.find('[0-9]+') == '123' && 'abc'.find('[0-9]+') == ''",
    "'123 abc 456'.findAll('[0-9]+') == ['123', '456'] && '123 abc 456'.findAll('[0-9]+', 1) == ['123']",
];

#[test]
fn functions_of_kubernetes_tell_what_its_own_tell() {
    let object = Value::Null;
    let mut wrong = Vec::new();
    for text in TRUE {
        let result = Expression::parse(text).and_then(|one| one.is_true(&[("self", &object)]));
        if result != Ok(true) {
            wrong.push(format!("{text}: {result:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_none_is_told() {
    let rows = [
        ("sign(quantity('x')) == 0", super::quantity::WRONG),
        ("quantity('0.5').asInteger() == 0", "cannot convert value to integer"),
        (
            "ip('x').family() == 4",
            "IP Address \"x\" parse error during conversion from string: ParseAddr(\"x\"): unable to \
             parse IP",
        ),
        (
            "cidr('10.0.0.0').prefixLength() == 8",
            "network address parse error during conversion from string: network address parse \
             error during conversion from string: netip.ParsePrefix(\"10.0.0.0\"): no '/'",
        ),
        (
            "url('a').getHost() == ''",
            "URL parse error during conversion from string: parse \"a\": invalid URI for request",
        ),
        ("[].min() == 1", "min called on empty list"),
    ];
    for (text, why) in rows {
        let expression = Expression::parse(text).unwrap();
        let failure = expression.evaluate(&[]).unwrap_err();
        assert_eq!((failure.why.as_str(), failure.is_ours), (why, false), "{text}");
    }
}
