//! XML documents: reading them into a small tree, and writing them as text.

use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use serde_json::{Map, Value};

use super::scalar;
use crate::error::{DecodeError, EncodeError};
use crate::limits::{NESTING_MAX, XML_ELEMENTS_MAX};
use crate::path::Path;
use crate::schema::{self, Kind, List, Location, Member, Shape, TimestampFormat};

/// An element with its parts; names are without their namespace prefix.
#[derive(Debug, Default)]
pub(super) struct Element {
    pub(super) name: String,
    attributes: Vec<(String, String)>,
    children: Vec<Element>,
    text: String,
}

fn malformed(detail: impl ToString) -> DecodeError {
    DecodeError::Malformed {
        format: "XML",
        detail: detail.to_string(),
    }
}

/// Reads a whole document. A document type is refused, so no entity can be declared.
pub(super) fn parse(body: &[u8]) -> Result<Element, DecodeError> {
    let text = std::str::from_utf8(body).map_err(malformed)?;
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Element> = vec![Element::default()];
    let mut elements = 0;
    loop {
        let event = reader.read_event().map_err(malformed)?;
        if matches!(event, Event::Start(_) | Event::Empty(_)) {
            elements += 1;
            if XML_ELEMENTS_MAX < elements {
                return Err(DecodeError::TooComplex {
                    what: "elements",
                    max: XML_ELEMENTS_MAX,
                });
            }
        }
        match event {
            Event::Start(start) => {
                if NESTING_MAX < open.len() {
                    return Err(DecodeError::TooComplex {
                        what: "levels",
                        max: NESTING_MAX,
                    });
                }
                open.push(element(&start)?);
            }
            Event::Empty(start) => close(&mut open, element(&start)?)?,
            Event::End(_) => {
                let done = open.pop().unwrap_or_default();
                close(&mut open, done)?;
            }
            Event::Text(text) => append(&mut open, &text.xml10_content()),
            Event::CData(text) => append(&mut open, &text.xml10_content()),
            Event::GeneralRef(reference) => append(&mut open, &resolve(&reference)?),
            Event::DocType(_) => return Err(malformed("a document type is not accepted")),
            Event::Eof => break,
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
        }
    }
    let mut document = match open.pop() {
        Some(document) if open.is_empty() => document,
        _ => return Err(malformed("an element is not closed")),
    };
    match (document.children.pop(), document.children.pop()) {
        (Some(root), None) if document.text.trim().is_empty() => Ok(root),
        _ => Err(malformed("there must be one outermost element")),
    }
}

fn close(open: &mut [Element], done: Element) -> Result<(), DecodeError> {
    let parent = open
        .last_mut()
        .ok_or_else(|| malformed("an end tag has no start tag"))?;
    parent.children.push(done);
    Ok(())
}

fn append(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

fn element(start: &BytesStart<'_>) -> Result<Element, DecodeError> {
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(malformed)?;
        let value = attribute
            .normalized_value(XmlVersion::Implicit1_0)
            .map_err(malformed)?
            .into_owned();
        attributes.push((attribute.key.local_name().as_ref().to_owned(), value));
    }
    let name = start.name().local_name().as_ref().to_owned();
    Ok(Element {
        name,
        attributes,
        ..Element::default()
    })
}

/// The character that a reference stands for; only XML's own five entities have names.
fn resolve(reference: &BytesRef<'_>) -> Result<String, DecodeError> {
    if let Some(character) = reference.resolve_char_ref().map_err(malformed)? {
        return Ok(character.to_string());
    }
    let name: &str = reference;
    let text = match name {
        "lt" => "<",
        "gt" => ">",
        "amp" => "&",
        "apos" => "'",
        "quot" => "\"",
        _ => return Err(malformed(format!("the entity {name:?} is not known"))),
    };
    Ok(text.to_owned())
}

/// Reads the body members of a structure out of an element.
pub(super) fn decode_structure(
    members: &'static [Member],
    element: &Element,
    path: &Path<'_>,
) -> Result<Value, DecodeError> {
    let mut decoded = Map::new();
    for member in members
        .iter()
        .filter(|member| member.location == Location::Body)
    {
        let path = path.member(member.name);
        match decode_member(member, element, &path)? {
            Some(value) => _ = decoded.insert(member.name.to_owned(), value),
            None if member.required => return Err(malformed(format!("'{path}' is missing"))),
            None => {}
        }
    }
    Ok(Value::Object(decoded))
}

fn decode_member(
    member: &Member,
    element: &Element,
    path: &Path<'_>,
) -> Result<Option<Value>, DecodeError> {
    if member.attribute {
        let local = member.wire_name.rsplit(':').next().unwrap_or_default();
        let found = element.attributes.iter().find(|(name, _)| name == local);
        return found
            .map(|(_, text)| decode_text(member.shape, text, path))
            .transpose();
    }
    if let Kind::List(
        list @ List {
            flattened: true, ..
        },
    ) = &member.shape.kind
    {
        let name = flat_name(member, list);
        let items: Vec<&Element> = element.children.iter().filter(|c| c.name == name).collect();
        let present = !items.is_empty();
        return present
            .then(|| decode_items(list, &items, path))
            .transpose();
    }
    let found = element
        .children
        .iter()
        .find(|child| child.name == member.wire_name);
    found
        .map(|child| decode_value(member.shape, child, path))
        .transpose()
}

/// The element of each value of a flattened list: the member's, else that which the list gives.
fn flat_name(member: &Member, list: &List) -> &'static str {
    if list.element == "member" || member.wire_name != member.name {
        member.wire_name
    } else {
        list.element
    }
}

/// Reads the value that an element holds.
pub(super) fn decode_value(
    shape: &Shape,
    element: &Element,
    path: &Path<'_>,
) -> Result<Value, DecodeError> {
    match &shape.kind {
        Kind::Structure(members) => decode_structure(members, element, path),
        Kind::List(list) => {
            let items: Vec<&Element> = element
                .children
                .iter()
                .filter(|child| child.name == list.element)
                .collect();
            decode_items(list, &items, path)
        }
        Kind::Map(map) => decode_entries(map, element, path),
        Kind::Text(_)
        | Kind::Integer(_)
        | Kind::Long(_)
        | Kind::Float(_)
        | Kind::Double(_)
        | Kind::Boolean
        | Kind::Blob(_)
        | Kind::Timestamp(_) => decode_text(shape, &element.text, path),
    }
}

fn decode_items(list: &List, items: &[&Element], path: &Path<'_>) -> Result<Value, DecodeError> {
    let decode =
        |(index, item): (usize, &&Element)| decode_value(list.member, item, &path.item(index));
    items
        .iter()
        .enumerate()
        .map(decode)
        .collect::<Result<_, _>>()
        .map(Value::Array)
}

fn decode_entries(
    map: &schema::Map,
    element: &Element,
    path: &Path<'_>,
) -> Result<Value, DecodeError> {
    let mut decoded = Map::new();
    for entry in element
        .children
        .iter()
        .filter(|child| child.name == "entry")
    {
        let child = |name: &str| entry.children.iter().find(|child| child.name == name);
        let (Some(key), Some(value)) = (child(map.key_element), child(map.value_element)) else {
            return Err(malformed(format!(
                "an entry of '{path}' lacks its key or value"
            )));
        };
        let value = decode_value(map.value, value, &path.key(&key.text))?;
        decoded.insert(key.text.clone(), value);
    }
    Ok(Value::Object(decoded))
}

fn decode_text(shape: &Shape, text: &str, path: &Path<'_>) -> Result<Value, DecodeError> {
    scalar::from_text(shape, text).ok_or_else(|| DecodeError::WrongType {
        path: path.to_string(),
        detail: format!(
            "The text can not be converted to {}",
            scalar::type_name(shape).unwrap_or("a structure")
        ),
    })
}

/// Text of an XML document under construction.
pub(super) struct Writer {
    text: String,
}

impl Writer {
    /// A document with only its declaration.
    pub(super) fn document() -> Self {
        Self {
            text: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned(),
        }
    }

    /// The document's bytes.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.text.into_bytes()
    }

    /// Opens an element, in a namespace unless that is empty.
    pub(super) fn open(&mut self, name: &str, namespace: &str) {
        self.open_with(name, namespace, "");
    }

    fn open_with(&mut self, name: &str, namespace: &str, attributes: &str) {
        self.text.push('<');
        self.text.push_str(name);
        if !namespace.is_empty() {
            self.text.push_str(" xmlns=\"");
            self.escape(namespace);
            self.text.push('"');
        }
        self.text.push_str(attributes);
        self.text.push('>');
    }

    /// Closes an element.
    pub(super) fn close(&mut self, name: &str) {
        self.text.push_str("</");
        self.text.push_str(name);
        self.text.push('>');
    }

    /// Writes an element that holds a text.
    pub(super) fn text_element(&mut self, name: &str, text: &str) {
        self.open(name, "");
        self.escape(text);
        self.close(name);
    }

    /// Writes text, with every character that XML or a parser would change as a reference.
    pub(super) fn escape(&mut self, text: &str) {
        for character in text.chars() {
            match character {
                '<' => self.text.push_str("&lt;"),
                '>' => self.text.push_str("&gt;"),
                '&' => self.text.push_str("&amp;"),
                '"' => self.text.push_str("&quot;"),
                '\u{0}'..='\u{1F}' | '\u{7F}'..='\u{9F}' | '\u{2028}' | '\u{FFFE}' | '\u{FFFF}' => {
                    self.text.push_str(&format!("&#{};", u32::from(character)));
                }
                _ => self.text.push(character),
            }
        }
    }

    /// Writes the body members of a structure, in the model's order.
    pub(super) fn structure(
        &mut self,
        members: &'static [Member],
        value: &Value,
        path: &Path<'_>,
    ) -> Result<(), EncodeError> {
        let object = value
            .as_object()
            .ok_or_else(|| wrong_type(path, "a structure"))?;
        let in_body = |m: &&Member| m.location == Location::Body && !m.attribute;
        for member in members.iter().filter(in_body) {
            if let Some(value) = object.get(member.name).filter(|value| !value.is_null()) {
                self.member(member, value, &path.member(member.name))?;
            }
        }
        Ok(())
    }

    fn member(
        &mut self,
        member: &Member,
        value: &Value,
        path: &Path<'_>,
    ) -> Result<(), EncodeError> {
        if let Kind::List(
            list @ List {
                flattened: true, ..
            },
        ) = &member.shape.kind
        {
            return self.items(list, flat_name(member, list), value, path);
        }
        let attributes = attributes(member.shape, value);
        self.open_with(member.wire_name, member.xml_namespace, &attributes);
        self.value(member.shape, value, path)?;
        self.close(member.wire_name);
        Ok(())
    }

    /// Writes what stands inside the element of a value.
    pub(super) fn value(
        &mut self,
        shape: &Shape,
        value: &Value,
        path: &Path<'_>,
    ) -> Result<(), EncodeError> {
        match &shape.kind {
            Kind::Structure(members) => self.structure(members, value, path),
            Kind::List(list) => self.items(list, list.element, value, path),
            Kind::Map(map) => self.entries(map, value, path),
            Kind::Text(_)
            | Kind::Integer(_)
            | Kind::Long(_)
            | Kind::Float(_)
            | Kind::Double(_)
            | Kind::Boolean
            | Kind::Blob(_)
            | Kind::Timestamp(_) => {
                let text = scalar::to_text(shape, value, TimestampFormat::Iso8601)
                    .ok_or_else(|| wrong_type(path, shape.name))?;
                self.escape(&text);
                Ok(())
            }
        }
    }

    fn items(
        &mut self,
        list: &List,
        element: &str,
        value: &Value,
        path: &Path<'_>,
    ) -> Result<(), EncodeError> {
        let items = value.as_array().ok_or_else(|| wrong_type(path, "a list"))?;
        for (index, item) in items.iter().enumerate() {
            self.open_with(element, "", &attributes(list.member, item));
            self.value(list.member, item, &path.item(index))?;
            self.close(element);
        }
        Ok(())
    }

    fn entries(
        &mut self,
        map: &schema::Map,
        value: &Value,
        path: &Path<'_>,
    ) -> Result<(), EncodeError> {
        let object = value.as_object().ok_or_else(|| wrong_type(path, "a map"))?;
        for (key, value) in object {
            self.open("entry", "");
            self.text_element(map.key_element, key);
            self.open(map.value_element, "");
            self.value(map.value, value, &path.key(key))?;
            self.close(map.value_element);
            self.close("entry");
        }
        Ok(())
    }
}

/// What a prefix means must be said on the element that uses it.
const XSI: &str = " xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"";

/// The attributes that a structure's members put on its element, such as S3's `xsi:type`.
fn attributes(shape: &Shape, value: &Value) -> String {
    let mut writer = Writer {
        text: String::new(),
    };
    for member in shape.members().iter().filter(|member| member.attribute) {
        let text = value.get(member.name).and_then(Value::as_str);
        if let Some(text) = text {
            if member.wire_name.starts_with("xsi:") {
                writer.text.push_str(XSI);
            }
            writer.text.push_str(&format!(" {}=\"", member.wire_name));
            writer.escape(text);
            writer.text.push('"');
        }
    }
    writer.text
}

fn wrong_type(path: &Path<'_>, expected: &'static str) -> EncodeError {
    EncodeError::WrongType {
        path: path.to_string(),
        expected,
    }
}
