//! Trees as bytes, for one's own use in a later process. Nodes lie there as in memory: taking a tree
//! up again costs next to nothing, however large it is.

use std::sync::Arc;

use bytes::Bytes;

use super::super::funcs;
use super::super::value::Str;
use super::records::{NUMBERS, Records, Width};
use super::{Name, Number, Unit};
use crate::base::packed::{Reader, Writer};

impl Unit {
    /// Writes it, but for its name and its text.
    pub(in super::super) fn save(&self, out: &mut Writer) {
        out.byte(self.nodes.width().bytes() as u8);
        out.size(self.nodes.count());
        out.plain(self.nodes.bytes());
        save_numbers::<1>(&self.ids, out);
        let names = self.names.iter().flat_map(|name| [name.start, name.end]);
        save_numbers::<2>(&names.collect::<Vec<_>>(), out);
        save_texts(self.strings.iter().map(|string| &**string), out);
        out.size(self.numbers.len());
        self.numbers.iter().for_each(|number| save_number(number, out));
        save_texts(self.functions.iter().map(|function| function.name.as_bytes()), out);
        save_texts(self.variables.iter().map(|name| &**name), out);
        out.size(self.templates.len());
        for (name, root) in &self.templates {
            out.bytes(name);
            out.number(*root);
        }
    }

    /// Takes up what was written of a text; `None` if [`Self::save`] has not written it.
    pub(in super::super) fn restore(text: Bytes, saved: &Bytes, at: usize) -> Option<Self> {
        let mut read = Reader::new(&saved[at..]);
        let (width, records) = saved_numbers::<NUMBERS>(&mut read)?;
        let ids = saved_numbers::<1>(&mut read)?;
        let names = saved_numbers::<2>(&mut read)?;
        Some(Self {
            name: Arc::from([]),
            text,
            nodes: Records::written(saved.slice_ref(records), width),
            ids: groups(ids).map(|[id]| id).collect(),
            names: groups(names).map(|[start, end]| Name { start, end }).collect(),
            strings: many(&mut read, text_of)?,
            numbers: many(&mut read, restore_number)?,
            functions: many(&mut read, |read| funcs::find(read.bytes()?))?,
            variables: many(&mut read, text_of)?,
            templates: many(&mut read, |read| Some((text_of(read)?, read.small()?)))?,
        })
    }
}

/// Writes groups of N numbers.
fn save_numbers<const N: usize>(numbers: &[u32], out: &mut Writer) {
    let width = Width::of(numbers.iter().copied().max().unwrap_or_default());
    out.byte(width.bytes() as u8);
    out.size(numbers.len() / N);
    width.write(numbers, out);
}

/// Reads groups of N numbers, as they lie.
fn saved_numbers<'a, const N: usize>(read: &mut Reader<'a>) -> Option<(Width, &'a [u8])> {
    let width = match read.byte()? {
        2 => Width::Two,
        4 => Width::Four,
        _ => return None,
    };
    let length = read.size()?.checked_mul(N * width.bytes())?;
    Some((width, read.plain(length)?))
}

fn groups<const N: usize>((width, bytes): (Width, &[u8])) -> impl Iterator<Item = [u32; N]> {
    bytes.chunks_exact(N * width.bytes()).map(move |bytes| width.read(bytes))
}

/// Reads parts one after the other, behind their number.
fn many<'a, T>(
    read: &mut Reader<'a>,
    mut one: impl FnMut(&mut Reader<'a>) -> Option<T>,
) -> Option<Vec<T>> {
    let count = read.size()?;
    // Each takes a byte at least.
    let mut parts = Vec::with_capacity(count.min(read.left()));
    for _ in 0..count {
        parts.push(one(read)?);
    }
    Some(parts)
}

fn text_of(read: &mut Reader<'_>) -> Option<Str> {
    read.bytes().map(Arc::from)
}

fn save_texts<'a>(texts: impl ExactSizeIterator<Item = &'a [u8]>, out: &mut Writer) {
    out.size(texts.len());
    texts.for_each(|text| out.bytes(text));
}

/// Which types hold a number, as bits.
const INT: u8 = 1;
const UINT: u8 = 2;
const FLOAT: u8 = 4;
const COMPLEX: u8 = 8;

fn save_number(number: &Number, out: &mut Writer) {
    let Number { text, int, uint, float, complex } = number;
    let bit = |is_there: bool, bit: u8| if is_there { bit } else { 0 };
    out.number(text.start);
    out.number(text.end);
    out.byte(
        bit(int.is_some(), INT)
            | bit(uint.is_some(), UINT)
            | bit(float.is_some(), FLOAT)
            | bit(complex.is_some(), COMPLEX),
    );
    int.iter().for_each(|int| out.signed(*int));
    uint.iter().for_each(|uint| out.number(*uint));
    float.iter().for_each(|float| out.number(float.to_bits()));
    if let Some((real, imaginary)) = complex {
        out.number(real.to_bits());
        out.number(imaginary.to_bits());
    }
}

fn restore_number(read: &mut Reader<'_>) -> Option<Number> {
    let text = Name { start: read.small()?, end: read.small()? };
    let types = read.byte()?;
    let mut number = Number { text, ..Number::default() };
    if types & INT != 0 {
        number.int = Some(read.signed()?);
    }
    if types & UINT != 0 {
        number.uint = Some(read.number()?);
    }
    if types & FLOAT != 0 {
        number.float = Some(f64::from_bits(read.number()?));
    }
    if types & COMPLEX != 0 {
        let real = f64::from_bits(read.number()?);
        number.complex = Some((real, f64::from_bits(read.number()?)));
    }
    Some(number)
}

#[cfg(test)]
mod tests;
