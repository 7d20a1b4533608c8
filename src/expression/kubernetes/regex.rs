//! `'abc 123'.find('[0-9]+')`.

use cel::common::types::{CelInt, CelList, CelString};
use cel::common::value::Val;
use cel::{DeclarationError, Env, ExecutionError, add_member_overload};
use regex::Regex;

pub(super) fn extension(env: &mut Env) -> Result<(), DeclarationError> {
    add_member_overload!(env, fn find: (CelString, CelString) -> Result<CelString>)?;
    add_member_overload!(env, fn find_all: (CelString, CelString) -> Result<CelList>)?;
    add_member_overload!(env, fn find_some: (CelString, CelString, CelInt) -> Result<CelList>,
        name = "findAll")?;
    Ok(())
}

fn compile(pattern: &CelString<'_>) -> Result<Regex, ExecutionError> {
    Regex::new(pattern.inner())
        .map_err(|error| ExecutionError::function_error("find", format!("Illegal regex: {error}")))
}

fn find(
    text: &CelString<'_>,
    pattern: &CelString<'_>,
) -> Result<CelString<'static>, ExecutionError> {
    let found = compile(pattern)?.find(text.inner()).map(|found| found.as_str().to_owned());
    Ok(found.unwrap_or_default().into())
}

fn find_all(
    text: &CelString<'_>,
    pattern: &CelString<'_>,
) -> Result<CelList<'static>, ExecutionError> {
    find_some(text, pattern, &CelInt::from(-1))
}

fn find_some(
    text: &CelString<'_>,
    pattern: &CelString<'_>,
    most: &CelInt,
) -> Result<CelList<'static>, ExecutionError> {
    let most = usize::try_from(*most.inner()).unwrap_or(usize::MAX);
    let pattern = compile(pattern)?;
    let found = pattern.find_iter(text.inner()).take(most);
    let boxed = |text: &str| -> Box<dyn Val> { Box::new(CelString::from(text.to_owned())) };
    Ok(found.map(|found| boxed(found.as_str())).collect::<Vec<_>>().into())
}
