//! What is wrong in a document that was read, until something replaces it.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::{Error, Map, Value};

/// Why a node has no JSON form. To Go that is no mistake until the document was read: an equal key
/// that follows replaces what is wrong.
#[derive(Clone, Default)]
pub(super) struct Flaw {
    pub(super) own: Option<Error>,
    /// What is wrong inside, by the keys of a map or the indexes of a list.
    keys: BTreeMap<String, Rc<Self>>,
}

impl Flaw {
    pub(super) fn new(error: Error) -> Rc<Self> {
        Rc::new(Self { own: Some(error), keys: BTreeMap::new() })
    }

    pub(super) fn set(&mut self, key: &str, flaw: Option<Rc<Self>>) {
        match flaw {
            Some(flaw) => self.keys.insert(key.to_owned(), flaw),
            None => self.keys.remove(key),
        };
    }

    pub(super) fn into_node(self) -> Option<Rc<Self>> {
        (self.own.is_some() || !self.keys.is_empty()).then(|| Rc::new(self))
    }

    pub(super) fn first(&self) -> Option<&Error> {
        self.own.as_ref().or_else(|| self.keys.values().find_map(|flaw| flaw.first()))
    }
}

/// Adds the entries of a map, or those of maps of which the first counts most.
pub(super) fn merge(
    map: &mut Map,
    flaw: &mut Flaw,
    (value, wrong): (Value, Option<Rc<Flaw>>),
) -> Result<(), Error> {
    let Value::Array(list) = value else {
        return merge_one(map, flaw, value, wrong.as_deref());
    };
    for (index, part) in list.into_iter().enumerate().rev() {
        let wrong = wrong.as_ref().and_then(|flaw| flaw.keys.get(&index.to_string()));
        merge_one(map, flaw, part, wrong.map(Rc::as_ref))?;
    }
    Ok(())
}

fn merge_one(
    map: &mut Map,
    flaw: &mut Flaw,
    part: Value,
    wrong: Option<&Flaw>,
) -> Result<(), Error> {
    let Value::Object(part) = part else {
        let text = "yaml: map merge requires map or sequence of maps as the value";
        return Err(Error::syntax(text, None));
    };
    if let Some(error) = wrong.and_then(|wrong| wrong.own.as_ref()) {
        flaw.own = Some(error.clone());
    }
    for (key, value) in part {
        flaw.set(&key, wrong.and_then(|wrong| wrong.keys.get(&key).cloned()));
        map.insert(key, value);
    }
    Ok(())
}
