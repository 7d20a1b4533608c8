//! Passwords that are derived, and texts that are encrypted.
//!
//! Source: sprig v3.3.0 crypto.go (derivePassword, encryptAES, decryptAES).

use aes::cipher::block_padding::{NoPadding, Pkcs7};
use aes::cipher::{BlockDecryptMut as _, BlockEncryptMut as _, KeyIvInit as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::super::value::{UintKind, Value};
use super::{Args, Func, Outcome, Ty, lossy};

const S: Ty = Ty::Str;
/// What a derived password costs: about 100 ms.
const DERIVE_STEPS: usize = 4_000_000;
const SEED: &[u8] = b"com.lyndir.masterpassword";

pub(super) const TABLE: &[Func] = &[
    Func::new("derivePassword", &[Ty::Uint32, S, S, S, S], |m, a| {
        m.spend(DERIVE_STEPS)?;
        derive(a)
    }),
    Func::varying("encryptAES", &[S, S], |_, a| encrypt(a.str(0), a.str(1))),
    Func::new("decryptAES", &[S, S], |_, a| decrypt(a.str(0), a.str(1))),
];

/// Forms of passwords: each letter is a class of characters.
const FORMS: &[(&str, &[&str])] = &[
    ("maximum", &["anoxxxxxxxxxxxxxxxxx", "axxxxxxxxxxxxxxxxxno"]),
    (
        "long",
        &[
            "CvcvnoCvcvCvcv",
            "CvcvCvcvnoCvcv",
            "CvcvCvcvCvcvno",
            "CvccnoCvcvCvcv",
            "CvccCvcvnoCvcv",
            "CvccCvcvCvcvno",
            "CvcvnoCvccCvcv",
            "CvcvCvccnoCvcv",
            "CvcvCvccCvcvno",
            "CvcvnoCvcvCvcc",
            "CvcvCvcvnoCvcc",
            "CvcvCvcvCvccno",
            "CvccnoCvccCvcv",
            "CvccCvccnoCvcv",
            "CvccCvccCvcvno",
            "CvcvnoCvccCvcc",
            "CvcvCvccnoCvcc",
            "CvcvCvccCvccno",
            "CvccnoCvcvCvcc",
            "CvccCvcvnoCvcc",
            "CvccCvcvCvccno",
        ],
    ),
    ("medium", &["CvcnoCvc", "CvcCvcno"]),
    ("short", &["Cvcn"]),
    ("basic", &["aaanaaan", "aannaaan", "aaannaaa"]),
    ("pin", &["nnnn"]),
];

/// The characters of a class.
fn characters(class: u8) -> &'static [u8] {
    match class {
        b'V' => b"AEIOU",
        b'C' => b"BCDFGHJKLMNPQRSTVWXYZ",
        b'v' => b"aeiou",
        b'c' => b"bcdfghjklmnpqrstvwxyz",
        b'a' => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz",
        b'n' => b"0123456789",
        b'o' => b"@&%?,=[]_:-+*$#!'^~;()/.",
        _ => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz0123456789!@#$%^&*()",
    }
}

fn sized(text: &[u8]) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes();
    [SEED, &length, text].concat()
}

fn derive(args: Args<'_>) -> Outcome {
    let kind = lossy(args.str(1));
    let Some((_, forms)) = FORMS.iter().find(|(name, _)| *name == kind) else {
        return Ok(Value::str(format!("cannot find password template {kind}")));
    };
    let counter = match args.any(0) {
        Value::Uint(counter, UintKind::Uint32) => u32::try_from(*counter).unwrap_or(0),
        _ => 0,
    };
    let mut key = [0; 64];
    let params = scrypt::Params::new(15, 8, 2, key.len()).map_err(|error| error.to_string())?;
    scrypt::scrypt(args.str(2), &sized(args.str(3)), &params, &mut key)
        .map_err(|error| error.to_string())?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|error| error.to_string())?;
    mac.update(&sized(args.str(4)));
    mac.update(&counter.to_be_bytes());
    let seed = mac.finalize().into_bytes();
    let form = forms[usize::from(seed[0]) % forms.len()];
    let password: Vec<u8> = form
        .bytes()
        .zip(&seed[1..])
        .map(|(class, &byte)| {
            let characters = characters(class);
            characters[usize::from(byte) % characters.len()]
        })
        .collect();
    Ok(Value::str(password))
}

/// The password's bytes, zeros up to the size of a key.
fn cipher_key(password: &[u8]) -> [u8; 32] {
    let mut key = [0; 32];
    let length = password.len().min(key.len());
    key[..length].copy_from_slice(&password[..length]);
    key
}

fn encrypt(password: &[u8], text: &[u8]) -> Outcome {
    if text.is_empty() {
        return Ok(Value::str(""));
    }
    let start: [u8; 16] = rand::random();
    let cipher = cbc::Encryptor::<aes::Aes256>::new(&cipher_key(password).into(), &start.into());
    let packed = cipher.encrypt_padded_vec_mut::<Pkcs7>(text);
    Ok(Value::str(STANDARD.encode([&start[..], &packed].concat())))
}

fn decrypt(password: &[u8], text: &[u8]) -> Outcome {
    if text.is_empty() {
        return Ok(Value::str(""));
    }
    let packed: Vec<u8> = text.iter().copied().filter(|b| !matches!(b, b'\r' | b'\n')).collect();
    // Go makes room for three bytes in each four characters.
    let room = packed.len() / 4 * 3;
    let bytes = STANDARD
        .decode(packed)
        .map_err(|_| lossy(&super::encoding::decode_base64(text)).into_owned())?;
    let Some((start, packed)) = bytes.split_first_chunk::<16>() else {
        return Err(
            format!("runtime error: slice bounds out of range [:16] with capacity {room}").into()
        );
    };
    let cipher = cbc::Decryptor::<aes::Aes256>::new(&cipher_key(password).into(), start.into());
    let plain = cipher
        .decrypt_padded_vec_mut::<NoPadding>(packed)
        .map_err(|_| "crypto/cipher: input not full blocks")?;
    // As upstream, the last byte says how much is padding, whatever the rest of it holds.
    let Some(&padding) = plain.last() else {
        return Err("runtime error: index out of range [-1]".into());
    };
    let Some(length) = plain.len().checked_sub(usize::from(padding)) else {
        return Err("runtime error: slice bounds out of range".into());
    };
    Ok(Value::str(&plain[..length]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(outcome: Outcome) -> String {
        match outcome {
            Ok(Value::Str(text)) => lossy(&text).into_owned(),
            Ok(other) => other.type_name().to_owned(),
            Err(fail) => fail.to_string(),
        }
    }

    #[test]
    fn passwords_are_derived_as_upstream() {
        let rows = [
            (1, "long", "ZedaFaxcZaso9*"),
            (1, "maximum", "pf4zS1LjCg&LjhsZ7T2~"),
            (1, "nope", "cannot find password template nope"),
        ];
        let wrong: Vec<_> = rows
            .iter()
            .filter_map(|(counter, kind, want)| {
                let args = [
                    Value::Uint(*counter, UintKind::Uint32),
                    Value::str(kind),
                    Value::str("password"),
                    Value::str("user"),
                    Value::str("example.com"),
                ];
                let got = text(derive(Args(&args)));
                (got != *want).then_some((*kind, got))
            })
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn encrypted_texts_come_back() {
        let secret = text(encrypt(b"key", "sixteen bytes é!".as_bytes()));
        assert_eq!(text(decrypt(b"key", secret.as_bytes())), "sixteen bytes é!");
        let no_text = b"MDEyMzQ1Njc4OUFCQ0RFRg==";
        assert_eq!(text(decrypt(b"k", no_text)), "runtime error: index out of range [-1]");
        assert_eq!(text(decrypt(b"k", b"!")), "illegal base64 data at input byte 0");
        assert_eq!(text(decrypt(b"k", b"")), "");
    }
}
