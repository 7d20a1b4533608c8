//! `quantity('1Gi').isGreaterThan(quantity('1G'))`.

use std::cmp::Ordering;

use cel::common::types::{CelBool, CelDouble, CelInt, CelString};
use cel::{DeclarationError, Env, ExecutionError, add_member_overload, add_overload};

use super::value;
use crate::base::quantity::{self, Quantity};

pub(super) const WRONG: &str = "quantities must match the regular expression \
                     '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

/// An amount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Amount(Quantity);

value!(Amount, QUANTITY, "kubernetes.Quantity");

pub(super) fn extension(env: &mut Env) -> Result<(), DeclarationError> {
    env.add_type(QUANTITY.to_owned())?;
    add_overload!(env, fn quantity: (CelString) -> Result<Amount>)?;
    add_overload!(env, fn is_quantity: (CelString) -> CelBool)?;
    add_member_overload!(env, fn is_integer: (Amount) -> CelBool)?;
    add_member_overload!(env, fn as_integer: (Amount) -> Result<CelInt>)?;
    add_member_overload!(env, fn as_approximate_float: (Amount) -> CelDouble)?;
    add_overload!(env, fn sign: (Amount) -> CelInt)?;
    add_member_overload!(env, fn add: (Amount, Amount) -> Amount)?;
    add_member_overload!(env, fn add_int: (Amount, CelInt) -> Amount, name = "add")?;
    add_member_overload!(env, fn sub: (Amount, Amount) -> Amount)?;
    add_member_overload!(env, fn sub_int: (Amount, CelInt) -> Amount, name = "sub")?;
    add_member_overload!(env, fn is_less_than: (Amount, Amount) -> CelBool)?;
    add_member_overload!(env, fn is_greater_than: (Amount, Amount) -> CelBool)?;
    add_member_overload!(env, fn compare_to: (Amount, Amount) -> CelInt)?;
    Ok(())
}

fn quantity(text: &CelString<'_>) -> Result<Amount, ExecutionError> {
    let wrong = || ExecutionError::function_error("quantity", WRONG);
    Quantity::parse(text.inner()).map(Amount).ok_or_else(wrong)
}

fn is_quantity(text: &CelString<'_>) -> CelBool {
    quantity::is_one(text.inner()).into()
}

fn is_integer(this: &Amount) -> CelBool {
    this.0.as_int().is_some().into()
}

fn as_integer(this: &Amount) -> Result<CelInt, ExecutionError> {
    let wrong = || ExecutionError::function_error("asInteger", "cannot convert value to integer");
    this.0.as_int().map(CelInt::from).ok_or_else(wrong)
}

fn as_approximate_float(this: &Amount) -> CelDouble {
    this.0.as_float().into()
}

fn sign(this: &Amount) -> CelInt {
    this.0.sign().into()
}

fn add(this: &Amount, other: &Amount) -> Amount {
    Amount(this.0.plus(other.0))
}

fn add_int(this: &Amount, other: &CelInt) -> Amount {
    Amount(this.0.plus(Quantity::from_int(*other.inner())))
}

fn sub(this: &Amount, other: &Amount) -> Amount {
    Amount(this.0.plus(other.0.negative()))
}

fn sub_int(this: &Amount, other: &CelInt) -> Amount {
    Amount(this.0.plus(Quantity::from_int(*other.inner()).negative()))
}

fn is_less_than(this: &Amount, other: &Amount) -> CelBool {
    (this.0 < other.0).into()
}

fn is_greater_than(this: &Amount, other: &Amount) -> CelBool {
    (this.0 > other.0).into()
}

fn compare_to(this: &Amount, other: &Amount) -> CelInt {
    order(this.0.cmp(&other.0))
}

/// Returns an order as a number.
pub(super) fn order(order: Ordering) -> CelInt {
    i64::from(order as i8).into()
}
