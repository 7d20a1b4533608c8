//! What a server says when it refuses.
//!
//! Source: Amazon S3 API, Error Responses.

/// As much of what a server says is told.
const LONGEST: usize = 300;

/// A refusal, as far as it is understood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Such as `AccessDenied`; empty where it is not said.
    pub(super) code: String,
    /// For people.
    pub(super) message: String,
    /// The region of the bucket, where another one was asked.
    pub(super) region: String,
}

impl Refusal {
    /// Reads the body of an answer; of one that is no refusal of S3 nothing is known.
    pub(super) fn read(text: &str) -> Self {
        let part = |name: &str| {
            let (_, rest) = text.split_once(&format!("<{name}>"))?;
            let (inside, _) = rest.split_once(&format!("</{name}>"))?;
            Some(plain(inside))
        };
        let text_of = |name| part(name).unwrap_or_default();
        let (code, message) = (text_of("Code"), text_of("Message"));
        let region = part("Region").or_else(|| expected(&message)).unwrap_or_default();
        Self { code, message, region }
    }

    /// Returns what is told of it.
    pub(super) fn said(&self, status: &str) -> String {
        match (self.message.is_empty(), self.code.is_empty()) {
            (true, true) => status.to_owned(),
            (true, false) => format!("{} ({status})", self.code),
            (false, true) => format!("{} ({status})", self.message),
            (false, false) => format!("{} ({}, {status})", self.message, self.code),
        }
    }
}

/// Returns the region that a message names, of servers that name it nowhere else: such as `the
/// region "us-east-1" is wrong; expecting "eu-west-1"`.
fn expected(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("; expecting ")?;
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let (region, _) = rest[1..].split_once(quote)?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    (message.contains("region") && region.chars().all(is_plain)).then(|| region.to_owned())
}

/// Text of XML, on one line and not too long.
fn plain(text: &str) -> String {
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    let text = text.replace("&apos;", "'").replace("&#39;", "'").replace("&#34;", "\"");
    let text = text.replace("&amp;", "&");
    let words: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    words.trim().chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_the_servers_words() {
        let rows = [
            (
                "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>Access &quot;Denied&quot;.\n</Message></Error>",
                "Access \"Denied\". (AccessDenied, 403 Forbidden)",
                "",
            ),
            (
                "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>",
                "AuthorizationHeaderMalformed (403 Forbidden)",
                "eu-west-1",
            ),
            (
                "<Message>the region &#34;us-east-1&#34; is wrong; expecting &#34;eu-west-9&#34;</Message>",
                "the region \"us-east-1\" is wrong; expecting \"eu-west-9\" (403 Forbidden)",
                "eu-west-9",
            ),
            (
                "<Message>the region 'a' is wrong; expecting 'b/c'</Message>",
                "the region 'a' is wrong; expecting 'b/c' (403 Forbidden)",
                "",
            ),
            ("<html>no</html>", "403 Forbidden", ""),
            ("<Code>cut", "403 Forbidden", ""),
            ("", "403 Forbidden", ""),
        ];
        for (text, said, region) in rows {
            let refusal = Refusal::read(text);
            assert_eq!(
                (refusal.said("403 Forbidden").as_str(), refusal.region.as_str()),
                (said, region)
            );
        }
        let long = format!("<Message>{}</Message>", "é".repeat(1000));
        assert_eq!(Refusal::read(&long).message.chars().count(), LONGEST);
    }
}
