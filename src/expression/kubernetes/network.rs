//! `cidr('10.0.0.0/8').containsIP('10.1.2.3')`, `ip('::1').isLoopback()`.

use std::net::{IpAddr, Ipv4Addr};

use cel::common::types::{CelBool, CelInt, CelString};
use cel::{DeclarationError, Env, ExecutionError, add_member_overload, add_overload};

use super::value;

/// An address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ip(IpAddr);

/// A network: an address of it, and how many bits are the network's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cidr {
    ip: IpAddr,
    bits: u8,
}

value!(Ip, IP, "net.IP");
value!(Cidr, CIDR, "net.CIDR");

pub(super) fn extension(env: &mut Env) -> Result<(), DeclarationError> {
    env.add_type(IP.to_owned())?;
    env.add_type(CIDR.to_owned())?;
    add_overload!(env, fn ip: (CelString) -> Result<Ip>)?;
    add_overload!(env, fn ip_of: (Cidr) -> Ip, name = "ip")?;
    add_overload!(env, fn is_ip: (CelString) -> CelBool, name = "isIP")?;
    add_overload!(env, fn is_canonical: (CelString) -> Result<CelBool>, name = "ip.isCanonical")?;
    add_overload!(env, fn string_of_ip: (Ip) -> CelString, name = "string")?;
    add_member_overload!(env, fn family: (Ip) -> CelInt)?;
    add_member_overload!(env, fn is_unspecified: (Ip) -> CelBool)?;
    add_member_overload!(env, fn is_loopback: (Ip) -> CelBool)?;
    add_member_overload!(env, fn is_link_local_multicast: (Ip) -> CelBool)?;
    add_member_overload!(env, fn is_link_local_unicast: (Ip) -> CelBool)?;
    add_member_overload!(env, fn is_global_unicast: (Ip) -> CelBool)?;
    add_overload!(env, fn cidr: (CelString) -> Result<Cidr>)?;
    add_overload!(env, fn is_cidr: (CelString) -> CelBool, name = "isCIDR")?;
    add_overload!(env, fn string_of_cidr: (Cidr) -> CelString, name = "string")?;
    add_member_overload!(env, fn contains_ip: (Cidr, Ip) -> CelBool, name = "containsIP")?;
    add_member_overload!(env, fn contains_ip_text: (Cidr, CelString) -> Result<CelBool>,
        name = "containsIP")?;
    add_member_overload!(env, fn contains_cidr: (Cidr, Cidr) -> CelBool, name = "containsCIDR")?;
    add_member_overload!(env, fn contains_cidr_text: (Cidr, CelString) -> Result<CelBool>,
        name = "containsCIDR")?;
    add_member_overload!(env, fn ip_of: (Cidr) -> Ip, name = "ip")?;
    add_member_overload!(env, fn masked: (Cidr) -> Cidr)?;
    add_member_overload!(env, fn prefix_length: (Cidr) -> CelInt)?;
    Ok(())
}

/// What Go's parser says of a text that is no address.
fn unparsable(text: &str) -> String {
    format!("ParseAddr({text:?}): unable to parse IP")
}

fn parse_ip(text: &str) -> Result<IpAddr, String> {
    let (address, zone) = text.split_once('%').unwrap_or((text, ""));
    match address.parse() {
        Ok(IpAddr::V6(_)) if !zone.is_empty() => {
            Err(format!("IP address {text:?} with zone value is not allowed"))
        }
        Ok(IpAddr::V6(address)) if address.to_ipv4_mapped().is_some() => {
            Err(format!("IPv4-mapped IPv6 address {text:?} is not allowed"))
        }
        Ok(address) if !text.contains('%') => Ok(address),
        Ok(_) | Err(_) => {
            let why = unparsable(text);
            Err(format!("IP Address {text:?} parse error during conversion from string: {why}"))
        }
    }
}

fn parse_cidr(text: &str) -> Result<Cidr, String> {
    let wrong = |why: &str| {
        let why = format!("netip.ParsePrefix({text:?}): {why}");
        format!("network address parse error during conversion from string: {why}")
    };
    let (address, bits) = text.rsplit_once('/').ok_or_else(|| wrong("no '/'"))?;
    if address.contains('%') && address.contains(':') {
        return Err(wrong("IPv6 zones cannot be present in a prefix"));
    }
    let ip: IpAddr = address.parse().map_err(|_| wrong(&unparsable(address)))?;
    let is_number = bits.bytes().all(|byte| byte.is_ascii_digit())
        && !(bits.len() > 1 && bits.starts_with('0'));
    let number = bits.parse::<u32>().ok().filter(|_| is_number);
    let number = number.ok_or_else(|| wrong(&format!("bad bits after slash: {bits:?}")))?;
    let bits = u8::try_from(number).ok().filter(|bits| *bits <= width(ip));
    let bits = bits.ok_or_else(|| wrong("prefix length out of range"))?;
    if matches!(ip, IpAddr::V6(address) if address.to_ipv4_mapped().is_some()) {
        return Err(format!("IPv4-mapped IPv6 address {text:?} is not allowed"));
    }
    Ok(Cidr { ip, bits })
}

fn width(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

fn failed(function: &str) -> impl Fn(String) -> ExecutionError {
    move |why| ExecutionError::function_error(function, why)
}

fn ip(text: &CelString<'_>) -> Result<Ip, ExecutionError> {
    parse_ip(text.inner()).map(Ip).map_err(failed("ip"))
}

fn is_ip(text: &CelString<'_>) -> CelBool {
    parse_ip(text.inner()).is_ok().into()
}

fn is_canonical(text: &CelString<'_>) -> Result<CelBool, ExecutionError> {
    let parsed = parse_ip(text.inner()).map_err(failed("ip.isCanonical"))?;
    Ok((parsed.to_string() == text.inner()).into())
}

fn string_of_ip(ip: &Ip) -> CelString<'static> {
    ip.0.to_string().into()
}

fn family(ip: &Ip) -> CelInt {
    (if ip.0.is_ipv4() { 4 } else { 6 }).into()
}

fn is_unspecified(ip: &Ip) -> CelBool {
    ip.0.is_unspecified().into()
}

fn is_loopback(ip: &Ip) -> CelBool {
    ip.0.is_loopback().into()
}

fn is_link_local_multicast(ip: &Ip) -> CelBool {
    let local = match ip.0 {
        IpAddr::V4(address) => address.octets()[..3] == [224, 0, 0],
        IpAddr::V6(address) => address.segments()[0] & 0xff0f == 0xff02,
    };
    local.into()
}

fn is_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.segments()[0] & 0xffc0 == 0xfe80,
    }
}

fn is_link_local_unicast(ip: &Ip) -> CelBool {
    is_local(ip.0).into()
}

fn is_global_unicast(ip: &Ip) -> CelBool {
    let address = ip.0;
    let is_none = address.is_unspecified() || address == IpAddr::V4(Ipv4Addr::BROADCAST);
    let global =
        !is_none && !address.is_loopback() && !address.is_multicast() && !is_local(address);
    global.into()
}

fn cidr(text: &CelString<'_>) -> Result<Cidr, ExecutionError> {
    // Kubernetes says it twice.
    let twice = |why| format!("network address parse error during conversion from string: {why}");
    parse_cidr(text.inner()).map_err(twice).map_err(failed("cidr"))
}

fn is_cidr(text: &CelString<'_>) -> CelBool {
    parse_cidr(text.inner()).is_ok().into()
}

fn string_of_cidr(cidr: &Cidr) -> CelString<'static> {
    format!("{}/{}", cidr.ip, cidr.bits).into()
}

/// Returns the first address of a network.
fn first(ip: IpAddr, bits: u8) -> IpAddr {
    let host = u32::from(width(ip) - bits);
    match ip {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(host).unwrap_or_default();
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(host).unwrap_or_default();
            std::net::Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

fn holds(cidr: &Cidr, ip: IpAddr) -> bool {
    cidr.ip.is_ipv4() == ip.is_ipv4() && first(cidr.ip, cidr.bits) == first(ip, cidr.bits)
}

fn contains_ip(this: &Cidr, ip: &Ip) -> CelBool {
    holds(this, ip.0).into()
}

fn contains_ip_text(this: &Cidr, text: &CelString<'_>) -> Result<CelBool, ExecutionError> {
    Ok(contains_ip(this, &ip(text)?))
}

fn contains_cidr(this: &Cidr, other: &Cidr) -> CelBool {
    (this.bits <= other.bits && holds(this, other.ip)).into()
}

fn contains_cidr_text(this: &Cidr, text: &CelString<'_>) -> Result<CelBool, ExecutionError> {
    Ok(contains_cidr(this, &cidr(text)?))
}

fn ip_of(this: &Cidr) -> Ip {
    Ip(this.ip)
}

fn masked(this: &Cidr) -> Cidr {
    Cidr { ip: first(this.ip, this.bits), bits: this.bits }
}

fn prefix_length(this: &Cidr) -> CelInt {
    i64::from(this.bits).into()
}
