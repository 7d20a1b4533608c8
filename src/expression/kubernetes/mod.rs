//! Kubernetes' own functions: quantities, addresses, URLs, formats, versions, lists.
//!
//! Source: kubernetes 1.34 staging apiserver pkg/cel/library (quantity.go, ip.go, cidr.go, urls.go,
//! format.go, semverlib.go, lists.go, regex.go), cel-go ext/sets.go.

mod format;
mod list;
mod network;
mod quantity;
mod regex;
mod url;
mod version;

use cel::{DeclarationError, Env, ExecutionError};

/// Functions that fail with words that rules and their users see.
const TELLING: [&str; 10] = [
    "quantity",
    "asInteger",
    "ip",
    "cidr",
    "url",
    "semver",
    "min",
    "max",
    "find",
    "ip.isCanonical",
];

/// Adds all of them.
pub(super) fn extension(env: &mut Env) -> Result<(), DeclarationError> {
    quantity::extension(env)?;
    network::extension(env)?;
    url::extension(env)?;
    format::extension(env)?;
    version::extension(env)?;
    list::extension(env)?;
    regex::extension(env)
}

/// Returns what a function of these says about its argument.
pub(super) fn told(error: &ExecutionError) -> Option<&str> {
    match error {
        ExecutionError::FunctionError { function, message }
            if TELLING.contains(&function.as_str()) =>
        {
            Some(message)
        }
        _ => None,
    }
}

/// Makes a Rust type a CEL value: its name, and how two are equal.
macro_rules! value {
    ($name:ident, $ty:ident, $text:literal) => {
        /// The type as CEL knows it.
        static $ty: cel::common::types::Type =
            cel::common::types::Type::new_unspecified_type($text);

        impl cel::common::value::Val for $name {
            fn get_type(&self) -> &cel::common::types::Type {
                &$ty
            }

            fn cel_type() -> &'static cel::common::types::Type {
                &$ty
            }

            fn equals(&self, other: &dyn cel::common::value::Val) -> bool {
                other.downcast_ref::<Self>().is_some_and(|other| self == other)
            }

            fn clone_as_boxed<'v>(&self) -> Box<dyn cel::common::value::Val + 'v> {
                Box::new(self.clone())
            }

            fn as_any(&self) -> Option<&dyn std::any::Any> {
                Some(self)
            }
        }

        impl cel::common::value::StaticVal for $name {}
    };
}
use value;

#[cfg(test)]
mod tests;
