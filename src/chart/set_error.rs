//! What can be wrong with a `--set` text, in Helm's words.

/// A `--set` text that cannot be read, or that clashes with the values it edits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// `a`
    #[error("key {0} has no value")]
    NoValue(String),
    /// `a,b=1`
    #[error("key {0} has no value (cannot end with ,)")]
    NoValueComma(String),
    /// `a.=1`
    #[error("key map {0} has no value")]
    NoMapValue(String),
    /// `a={1`
    #[error("list must terminate with '}}'")]
    OpenList,
    /// `a[x]=1`
    #[error("error parsing index: strconv.Atoi: parsing {0}: {1}")]
    Index(String, &'static str),
    /// `a[-1]=1`
    #[error("negative {0} index not allowed")]
    Negative(i64),
    /// `a[0]x=1`
    #[error("unexpected data at end of array index: {0}")]
    AfterIndex(String),
    /// `a[70000]=1`
    #[error("index of {0} is greater than maximum supported index of {1}")]
    LargeIndex(i64, i64),
    /// More dots than allowed.
    #[error("value name nested level is greater than maximum supported nested level of {0}")]
    TooNested(usize),
    /// More indexes in a row than allowed.
    #[error("lists in lists are nested more than {0} deep")]
    TooManyLists(usize),
    /// A key goes through something that is no table, or an index through no list.
    #[error("unable to parse key: interface conversion: interface {{}} is {found}, not {wanted}")]
    Clash {
        /// Go type of what is there.
        found: &'static str,
        /// Go type that the text needs.
        wanted: &'static str,
    },
    /// A value of `--set-json` is not JSON.
    #[error("failed parsing --set-json data {0}")]
    Json(String),
    /// The whole object of `--set-json` is not JSON.
    #[error("failed parsing --set-json data JSON: {0}")]
    JsonObject(String),
    /// The file of `--set-file` cannot be read.
    #[error("{0}")]
    File(String),
}
