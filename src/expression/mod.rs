//! Expressions in CEL, bounded: what an expression costs at most is reckoned before it runs.
//!
//! Two sorts of people write them: users of a `HelmRelease`, about health, and authors of custom
//! resource definitions, about what a value may be.
//!
//! Invariant: does no I/O; whatever is parsed and evaluated ends soon.
//!
//! Source: fluxcd/pkg runtime/cel (expression.go); its texts of errors are kept.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use cel::objects::{Key, OptionalValue, Value as CelValue};
use cel::{Context, Env, ExecutionError, Program, extensions};

use crate::yaml::Value;

mod cost;
mod kubernetes;
mod path;

/// Longest text of an expression.
const LONGEST_BYTES: usize = 16 << 10;
/// Deepest nesting of an expression.
const DEEPEST: usize = 64;
/// Most operators and selections of an expression: their chains are as deep as they are long.
const OPERATORS: usize = 1000;
/// Most steps that an expression may take.
const STEPS: u64 = 20_000_000;
/// Most bytes that it may make.
const BYTES: u64 = 64 << 20;

/// A parsed expression.
#[derive(Debug)]
pub struct Expression {
    text: String,
    program: Program,
}

/// What a name stands for in an expression.
#[derive(Debug, Clone, Copy)]
pub enum Given<'a> {
    /// A value.
    Value(&'a Value),
    /// One that may not be there, as `optional` of CEL.
    Optional(Option<&'a Value>),
}

/// What an expression came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// True or false.
    Bool(bool),
    /// A text.
    Text(String),
    /// Anything else.
    Other,
}

/// Why an expression came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// In the words of Google's own evaluator, as far as they are the same thing.
    pub why: String,
    /// Whether another evaluator might have done better: a function is not among ours, a type is
    /// not known to ours, or it could take too long.
    pub is_ours: bool,
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Expression {}

static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib().with_optional_support(true);
    // Each is added once, to an environment of this function's own.
    env.add_extension(extensions::strings).expect("strings are declared once");
    env.add_extension(extensions::encoders).expect("encoders are declared once");
    env.add_extension(extensions::lists).expect("lists are declared once");
    env.add_extension(kubernetes::extension).expect("Kubernetes' own are declared once");
    Arc::new(env)
});

impl Expression {
    /// Parses an expression.
    ///
    /// # Errors
    /// Its grammar is wrong, or it is too long or too deep.
    pub fn parse(text: &str) -> Result<Self, String> {
        let failed = |why: &str| format!("failed to parse the CEL expression '{text}': {why}");
        if text.len() > LONGEST_BYTES {
            return Err(failed(&format!("it is longer than {LONGEST_BYTES} bytes")));
        }
        if is_deep(text) {
            return Err(failed("it is nested too deep, or has too many operators"));
        }
        let program = ENVIRONMENT.compile(text).map_err(|errors| {
            let told = errors.errors.iter().map(|error| located(text, error.pos, &error.msg));
            failed(&told.collect::<Vec<_>>().join("\n"))
        })?;
        Ok(Self { text: text.to_owned(), program })
    }

    /// Whether the expression is true of these variables.
    ///
    /// # Errors
    /// It cannot be evaluated, is no boolean, or could take too long.
    pub fn is_true(&self, variables: &[(&str, &Value)]) -> Result<bool, String> {
        let given: Vec<_> =
            variables.iter().map(|(name, value)| (*name, Given::Value(value))).collect();
        match self.evaluate(&given) {
            Ok(Outcome::Bool(is_true)) => Ok(is_true),
            Ok(Outcome::Text(_) | Outcome::Other) => {
                Err(format!("failed to evaluate CEL expression as boolean: '{}'", self.text))
            }
            Err(Failure { why, .. }) => {
                Err(format!("failed to evaluate the CEL expression '{}': {why}", self.text))
            }
        }
    }

    /// Evaluates the expression.
    ///
    /// # Errors
    /// It cannot be evaluated, or could take too long.
    pub fn evaluate(&self, variables: &[(&str, Given<'_>)]) -> Result<Outcome, Failure> {
        cost::check(self.program.expression(), variables)
            .map_err(|why| Failure { why, is_ours: true })?;
        let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
        for (name, given) in variables {
            let value = match given {
                Given::Value(value) => converted(value),
                Given::Optional(value) => CelValue::Opaque(Arc::new(match value {
                    Some(value) => OptionalValue::of(converted(value)),
                    None => OptionalValue::none(),
                })),
            };
            context.add_variable_from_value(*name, value);
        }
        match execute(&self.program, &context) {
            Ok(CelValue::Bool(is_true)) => Ok(Outcome::Bool(is_true)),
            Ok(CelValue::String(text)) => Ok(Outcome::Text(text.to_string())),
            Ok(_) => Ok(Outcome::Other),
            Err(error) if kubernetes::told(&error).is_some() => {
                let why = kubernetes::told(&error).unwrap_or_default().to_owned();
                Err(Failure { why, is_ours: false })
            }
            Err(error) => {
                let is_ours = !matches!(
                    error,
                    ExecutionError::NoSuchKey(_)
                        | ExecutionError::IndexOutOfBounds(_)
                        | ExecutionError::DivisionByZero(_)
                        | ExecutionError::RemainderByZero(_)
                        | ExecutionError::Overflow(..)
                );
                Err(Failure { why: self.told(&error), is_ours })
            }
        }
    }

    /// Whether the expression names a variable.
    pub fn mentions(&self, variable: &str) -> bool {
        path::of(self.program.expression(), variable).is_some()
    }

    /// Returns an error in the words of Google's own evaluator, as far as they are the same thing.
    fn told(&self, error: &ExecutionError) -> String {
        match error {
            ExecutionError::UndeclaredReference(name) => {
                let path =
                    path::of(self.program.expression(), name).unwrap_or_else(|| name.to_string());
                format!("no such attribute(s): {path}")
            }
            ExecutionError::NoSuchKey(key) => format!("no such key: {key}"),
            ExecutionError::NoSuchOverload(_) => "no such overload".to_owned(),
            ExecutionError::IndexOutOfBounds(CelValue::Int(index)) => {
                format!("index out of bounds: {index}")
            }
            ExecutionError::DivisionByZero(_) => "division by zero".to_owned(),
            ExecutionError::RemainderByZero(_) => "modulus by zero".to_owned(),
            other => other.to_string(),
        }
    }
}

/// Whether a text is deeper than parser and evaluator bear; signs inside of texts count, too.
fn is_deep(text: &str) -> bool {
    let (mut depth, mut deepest, mut operators) = (0_usize, 0, 0);
    for sign in text.bytes() {
        match sign {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b'.' | b'+' | b'-' | b'*' | b'/' | b'%' | b'!' | b'?' | b'<' | b'>' | b'=' | b'&'
            | b'|' => operators += 1,
            _ => {}
        }
        deepest = deepest.max(depth);
        // Calls of methods are a chain, each with brackets of its own.
        operators += usize::from(sign == b'[');
    }
    deepest > DEEPEST || operators > OPERATORS
}

/// A mistake in the evaluator must not end who asks.
fn execute(program: &Program, context: &Context<'_, '_>) -> Result<CelValue, ExecutionError> {
    let run = std::panic::AssertUnwindSafe(|| program.execute(context));
    std::panic::catch_unwind(run)
        .unwrap_or_else(|_| Err(ExecutionError::InternalError("the evaluator failed".to_owned())))
}

/// Returns where a mistake is, as Google's own parser tells it.
fn located(text: &str, (line, column): (isize, isize), message: &str) -> String {
    let (number, width) = (line.max(1), column.max(1));
    // Where an expression could go on as well as end, Google's parser names only its end.
    let message = match message.split_once(" expecting {<EOF>, ") {
        Some((head, _)) => format!("{head} expecting <EOF>"),
        None => message.to_owned(),
    };
    let mut out = format!("ERROR: <input>:{number}:{column}: {message}");
    let shown = text.lines().nth(usize::try_from(number - 1).unwrap_or_default());
    if let Some(shown) = shown {
        let dots = ".".repeat(usize::try_from(width - 1).unwrap_or_default());
        out.push_str(&format!("\n | {shown}\n | {dots}^"));
    }
    out
}

/// Whole numbers are signed, as Go reads them.
fn converted(value: &Value) -> CelValue {
    match value {
        Value::Null => CelValue::Null,
        Value::Bool(bool) => CelValue::Bool(*bool),
        Value::Number(number) => match number.as_i64() {
            Some(number) => CelValue::Int(number),
            None => CelValue::Float(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => CelValue::String(Arc::new(text.clone())),
        Value::Array(items) => CelValue::List(Arc::new(items.iter().map(converted).collect())),
        Value::Object(map) => {
            let fields = map
                .iter()
                .map(|(key, value)| (Key::String(Arc::new(key.clone())), converted(value)));
            let map: HashMap<Key, CelValue> = fields.collect();
            CelValue::Map(cel::objects::Map { map: Arc::new(map) })
        }
    }
}

#[cfg(test)]
mod tests;
