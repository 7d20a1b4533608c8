//! Signatures of commits and tags: what of an object is signed, and by what.
//!
//! Source: git gpg-interface.c (`parse_signature`, `get_format_by_sig`), commit.c
//! (`parse_signed_commit`), Documentation/gitformat-signature.adoc.

use super::object::{self, Id};

/// What begins a signature, and what it is then.
const FORMS: [(&str, Form); 4] = [
    ("-----BEGIN PGP SIGNATURE-----", Form::OpenPgp),
    ("-----BEGIN PGP MESSAGE-----", Form::Other("unknown")),
    ("-----BEGIN SSH SIGNATURE-----", Form::Ssh),
    ("-----BEGIN SIGNED MESSAGE-----", Form::Other("x509")),
];

/// What a signature is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// There is none.
    None,
    /// One of OpenPGP.
    OpenPgp,
    /// One of a key of SSH.
    Ssh,
    /// Another, in Flux's word for it.
    Other(&'static str),
}

/// An object that may be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// What is signed: the object without its signature.
    pub payload: Vec<u8>,
    /// The signature, in its armor; empty: there is none.
    pub signature: String,
}

/// The tag by which a commit was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tag {
    /// A name for the commit, and nothing more: it cannot be signed.
    Light(String),
    /// An object of its own.
    Annotated {
        /// Its name.
        name: String,
        /// Its hash.
        id: Id,
        /// What it says.
        object: Signed,
    },
}

impl Signed {
    /// Returns what its signature is.
    #[must_use]
    pub fn form(&self) -> Form {
        match self.signature.trim() {
            "" => Form::None,
            text => form(text).unwrap_or(Form::Other("unknown")),
        }
    }
}

fn form(text: &str) -> Option<Form> {
    FORMS.iter().find(|(begin, _)| text.starts_with(begin)).map(|(_, form)| *form)
}

/// Takes the signature out of a commit: the header `gpgsig`, whose further lines begin with a space.
/// One for another algorithm of names (`gpgsig-sha256`) is no part of what is signed either.
///
/// # Errors
/// It says different things with its signature and without, or has several.
pub(super) fn commit(data: &[u8]) -> Result<Signed, String> {
    let mut payload = Vec::with_capacity(data.len());
    let mut signature = Vec::new();
    let (mut in_head, mut in_ours, mut in_other, mut count) = (true, false, false, 0);
    for line in data.split_inclusive(|byte| *byte == b'\n') {
        let further = in_head.then(|| line.strip_prefix(b" ")).flatten();
        match further {
            Some(rest) if in_ours => signature.extend_from_slice(rest),
            Some(_) if in_other => {}
            _ => {
                (in_ours, in_other) = (false, false);
                in_head = in_head && line != b"\n";
                if let Some(rest) = line.strip_prefix(b"gpgsig ").filter(|_| in_head) {
                    signature.extend_from_slice(rest);
                    (in_ours, count) = (true, count + 1);
                } else if in_head && line.starts_with(b"gpgsig-sha256 ") {
                    in_other = true;
                } else {
                    payload.extend_from_slice(line);
                }
            }
        }
    }
    if count > 1 {
        return Err("it has more than one signature".to_owned());
    }
    if object::commit(&payload).map(|commit| commit.tree)
        != object::commit(data).map(|commit| commit.tree)
    {
        return Err("its signature hides what it is".to_owned());
    }
    let signature = String::from_utf8_lossy(&signature).into_owned();
    Ok(Signed { payload, signature })
}

/// Takes the signature off a tag, at whose end it is. The tag must be of this commit and be called
/// so: a signature says which commit the name means, and must not serve another name.
///
/// # Errors
/// It is another tag.
pub(super) fn tag(data: &[u8], name: &str, commit: Id) -> Result<Signed, String> {
    let mut at = 0;
    let mut end = data.len();
    for line in data.split_inclusive(|byte| *byte == b'\n') {
        if std::str::from_utf8(line).ok().and_then(form).is_some() {
            end = at;
        }
        at += line.len();
    }
    let (payload, signature) = data.split_at(end);
    let text = String::from_utf8_lossy(payload);
    let field = |key| object::header(&text, key).unwrap_or_default();
    if field("type") != "commit" || field("object") != commit.to_string() {
        return Err(format!("the tag '{name}' is not of commit {commit} itself"));
    }
    if field("tag") != name {
        return Err(format!("the tag '{name}' was made as '{}'", field("tag")));
    }
    let signature = String::from_utf8_lossy(signature).into_owned();
    Ok(Signed { payload: payload.to_vec(), signature })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
    const PGP: &str = "-----BEGIN PGP SIGNATURE-----";

    #[test]
    fn a_commit_is_signed_without_its_signature() {
        let head = format!("tree {TREE}\nauthor a <a> 1 +0000\n");
        let own = format!("gpgsig {PGP}\n \n abc\n -----END PGP SIGNATURE-----\n");
        let other = "gpgsig-sha256 x\n y\n";
        let rest = "encoding x\n\nsubject\n\ngpgsig in the text\n more\n";
        let data = format!("{head}{own}{other}{rest}");
        let signed = commit(data.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(signed.payload.clone()).unwrap(), format!("{head}{rest}"));
        assert_eq!(signed.signature, format!("{PGP}\n\nabc\n-----END PGP SIGNATURE-----\n"));
        assert_eq!(signed.form(), Form::OpenPgp);
        let plain = commit(format!("{head}{rest}").as_bytes()).unwrap();
        assert_eq!((plain.form(), plain.payload), (Form::None, signed.payload));
        let twice = commit(format!("{head}{own}{own}{rest}").as_bytes()).unwrap_err();
        assert_eq!(twice, "it has more than one signature");
        let hidden = commit(format!("gpgsig x\n y\n{head}\n").as_bytes()).unwrap();
        assert_eq!(hidden.form(), Form::Other("unknown"));
    }

    #[test]
    fn a_tag_is_signed_up_to_its_signature() {
        let id: Id = TREE.parse().unwrap();
        let text = format!("object {TREE}\ntype commit\ntag v1\n\nsubject\n");
        let signature = "-----BEGIN SSH SIGNATURE-----\nabc\n-----END SSH SIGNATURE-----\n";
        let signed = tag(format!("{text}{signature}").as_bytes(), "v1", id).unwrap();
        assert_eq!(signed.payload, text.as_bytes());
        assert_eq!((signed.signature.as_str(), signed.form()), (signature, Form::Ssh));
        // What looks like a signature before the last one is a part of the message.
        let two = format!("{text}{PGP}\nx\n");
        let signed = tag(format!("{two}{signature}").as_bytes(), "v1", id).unwrap();
        assert_eq!((signed.form(), signed.payload), (Form::Ssh, two.into_bytes()));
        assert_eq!(tag(text.as_bytes(), "v1", id).unwrap().form(), Form::None);
        let renamed = tag(text.as_bytes(), "v2", id).unwrap_err();
        assert_eq!(renamed, "the tag 'v2' was made as 'v1'");
        let other: Id = "1".repeat(40).parse().unwrap();
        assert!(tag(text.as_bytes(), "v1", other).unwrap_err().contains("is not of commit 1111"));
        let of_tag = text.replace("type commit", "type tag");
        assert!(tag(of_tag.as_bytes(), "v1", id).is_err());
        // Nothing counts that stands in the signature.
        let inside = format!("type commit\ntag v1\n{PGP}\nobject {TREE}\n");
        assert!(tag(inside.as_bytes(), "v1", id).is_err());
        assert_eq!(
            Signed { payload: Vec::new(), signature: "-----BEGIN SIGNED MESSAGE-----".to_owned() }
                .form(),
            Form::Other("x509")
        );
    }
}
