//! The statics from which requests are read and checked and answers are written.

use std::fmt::Write;

use anyhow::{bail, ensure};
use serde_json::Number;

use super::keep::{self, Access};
use super::model::{Http, Namespace, Operation, Reference, Shape};
use super::names::constant;
use super::types::{Source, is_stream};

impl Source<'_, '_> {
    /// The table of a shape. Inputs and outputs are all structures, and a member's table is
    /// found under the member's shape, so nothing else is looked up by name.
    pub(super) fn table(&mut self, name: &str, shape: &Shape) -> anyhow::Result<()> {
        let constructor = if shape.sensitive { "sensitive" } else { "new" };
        let kind = match shape.kind.as_str() {
            "structure" => return self.structure_table(name, shape),
            "string" => format!("Kind::Text({})", self.text_table(name, shape)?),
            "list" => format!("Kind::List({})", self.list_table(shape)?),
            "map" => format!("Kind::Map({})", self.map_table(shape)?),
            "integer" => format!("Kind::Integer({})", range(shape)),
            "long" => format!("Kind::Long({})", range(shape)),
            "float" => format!("Kind::Float({})", float_range(shape)),
            "double" => format!("Kind::Double({})", float_range(shape)),
            "boolean" => "Kind::Boolean".to_owned(),
            "blob" => format!("Kind::Blob({})", range(shape)),
            "timestamp" => format!("Kind::Timestamp({})", timestamp_format(shape)?),
            other => bail!("{name} is a {other}, which has no table yet"),
        };
        writeln!(self.text, "pub(super) static {}: Shape =", constant(name))?;
        writeln!(self.text, "Shape::{constructor}({name:?}, {kind});\n")?;
        Ok(())
    }

    fn structure_table(&mut self, name: &str, shape: &Shape) -> anyhow::Result<()> {
        let mut members = String::new();
        for (member_name, member) in shape.members() {
            let target = constant(&member.shape);
            self.uses(&member.shape, &target);
            write!(members, "Member::new({member_name:?}, &{target})")?;
            let place = self.place(name, shape, member_name, member)?;
            write!(members, "{place}")?;
            if shape
                .required
                .iter()
                .any(|required| required == member_name)
            {
                members.push_str(".required()");
            }
            if member.xml_attribute {
                members.push_str(".attribute()");
            }
            if let Some(uri) = member
                .xml_namespace
                .as_ref()
                .and_then(Namespace::of_element)
            {
                write!(members, ".namespace({uri:?})")?;
            }
            members.push_str(",\n");
        }
        let line = format!("Shape::structure({name:?}, &[{members}]);\n");
        writeln!(
            self.text,
            "pub(super) static {}: Shape = {line}",
            constant(name)
        )?;
        Ok(())
    }

    /// Where a member travels, unless in the body under its own name.
    fn place(
        &self,
        owner_name: &str,
        owner: &Shape,
        name: &str,
        member: &Reference,
    ) -> anyhow::Result<String> {
        let target = self.plan.model.shape(&member.shape)?;
        let wire_name = member.location_name.as_deref().unwrap_or(name);
        let location = match member.location.as_deref() {
            Some("header") => "Header",
            Some("headers") => "HeaderPrefix",
            Some("uri") => "Path",
            Some("querystring") => "Query",
            Some("statusCode") => "Status",
            Some(other) => bail!("{owner_name}.{name} travels in the {other}"),
            None if is_stream(owner, name, member, target) => "Stream",
            None if owner.payload.as_deref() == Some(name) => "Payload",
            None if self.is_unwrapped(owner_name) => "RootText",
            None if wire_name == name => return Ok(String::new()),
            None => "Body",
        };
        ensure!(
            location != "Query" || target.kind != "map",
            "{owner_name}.{name} is a map in the query"
        );
        Ok(format!(".at(Location::{location}, {wire_name:?})"))
    }

    fn is_unwrapped(&self, shape: &str) -> bool {
        let unwrapped = self.plan.kept.all().filter(|(_, _, kept)| kept.unwrapped);
        let mut operations = unwrapped.filter_map(|(_, name, _)| self.plan.operation(name).ok());
        operations.any(|operation| operation.output.as_ref().is_some_and(|o| o.shape == shape))
    }

    fn text_table(&mut self, name: &str, shape: &Shape) -> anyhow::Result<String> {
        let mut table = format!("Text::ANY{}", length(shape));
        if let Some(pattern) = &shape.pattern {
            let pattern_name = format!("PATTERN_{}", constant(name));
            writeln!(
                self.text,
                "static {pattern_name}: Pattern = Pattern::new({});\n",
                raw_text(pattern)
            )?;
            write!(table, ".pattern(&{pattern_name})")?;
        }
        if !shape.values.is_empty() {
            write!(table, ".values(&{:?})", shape.values)?;
        }
        Ok(table)
    }

    fn list_table(&mut self, shape: &Shape) -> anyhow::Result<String> {
        let Some(member) = &shape.member else {
            bail!("a list has no member");
        };
        let target = constant(&member.shape);
        self.uses(&member.shape, &target);
        let mut table = format!("List::of(&{target}){}", length(shape));
        if let Some(element) = member
            .location_name
            .as_deref()
            .filter(|name| *name != "member")
        {
            write!(table, ".element({element:?})")?;
        }
        if shape.flattened {
            table.push_str(".flattened()");
        }
        Ok(table)
    }

    fn map_table(&mut self, shape: &Shape) -> anyhow::Result<String> {
        let (Some(key), Some(value)) = (&shape.key, &shape.value) else {
            bail!("a map has no key or value");
        };
        ensure!(
            key.location_name.is_none() && value.location_name.is_none() && !shape.flattened,
            "a map has elements of its own, which codegen does not write yet"
        );
        let (key_table, value_table) = (constant(&key.shape), constant(&value.shape));
        self.uses(&key.shape, &key_table);
        self.uses(&value.shape, &value_table);
        Ok(format!(
            "Map::of(&{key_table}, &{value_table}){}",
            length(shape)
        ))
    }

    /// An operation: its type without values, its table, and the link between them.
    pub(super) fn operation(
        &mut self,
        name: &str,
        operation: &Operation,
        kept: &keep::Operation,
    ) -> anyhow::Result<()> {
        let table = format!("OPERATION_{}", constant(name));
        let (input, input_table) = match &operation.input {
            Some(input) => (self.plan.type_name(&input.shape), constant(&input.shape)),
            None => bail!("{name} takes nothing, which codegen does not write yet"),
        };
        let input_shape = operation
            .input
            .as_ref()
            .map(|i| i.shape.clone())
            .unwrap_or_default();
        self.uses(&input_shape, &input);
        self.uses(&input_shape, &input_table);
        let (output, document, output_table) = match &operation.output {
            None => ("()".to_owned(), "Ok(Value::Null)", "None".to_owned()),
            Some(output) => {
                let (output_type, output_table) =
                    (self.plan.type_name(&output.shape), constant(&output.shape));
                self.uses(&output.shape, &output_type);
                self.uses(&output.shape, &output_table);
                (
                    output_type,
                    "serde_json::to_value(output)",
                    format!("Some(&{output_table})"),
                )
            }
        };
        let argument = if operation.output.is_some() {
            "output"
        } else {
            "_"
        };
        writeln!(
            self.text,
            "/// The operation `{name}`.
            #[derive(Clone, Copy, Debug)]
            pub struct {name};

            impl OperationType for {name} {{
                type Input = {input};
                type Output = {output};
                const OPERATION: &'static Operation = &{table};

                fn input(document: Value) -> Result<Self::Input, serde_json::Error> {{
                    serde_json::from_value(document)
                }}

                fn document({argument}: &Self::Output) -> Result<Value, serde_json::Error> {{
                    {document}
                }}
            }}

            pub(super) static {table}: Operation = Operation {{
                name: {name:?},
                service: &super::SERVICE,
                http: {http},
                input: &{input_table},
                output: {output_table},
                xml_root: {root:?},
                read_only: {read_only},
                action: {action:?},
                asking: {asking},
                resources: &{resources:?},
                conditions: &{conditions:?}, passes_role: {passes_role:?},
            }};\n",
            http = http(&operation.http),
            conditions = kept.conditions.iter().collect::<Vec<_>>(),
            passes_role = kept.passes_role,
            root = kept.root,
            read_only = kept.access == Access::Read,
            action = self.plan.kept.action(self.plan.name, name, kept),
            asking = asking(kept),
            resources = kept.resource.templates(),
        )?;
        Ok(())
    }
}

/// How an operation's permission is asked for, as an expression.
fn asking(kept: &keep::Operation) -> String {
    match &kept.versioned {
        _ if kept.each => "Asking::Each".to_owned(),
        Some(action) => format!("Asking::Versioned({action:?})"),
        None => "Asking::Once".to_owned(),
    }
}

/// Where an operation lives, as an expression.
pub(super) fn http(http: &Http) -> String {
    let mut text = format!("Http::new({:?}, {:?})", http.method, http.request_uri);
    if let Some(status) = http.response_code.filter(|status| *status != 200) {
        text.push_str(&format!(".status({status})"));
    }
    if !(http.query.is_empty() && http.headers.is_empty()) {
        text.push_str(&format!(".demands(&{:?}, &{:?})", http.query, http.headers));
    }
    text
}

fn length(shape: &Shape) -> String {
    let range = range(shape);
    if range == "Range::any()" {
        String::new()
    } else {
        format!(".length({range})")
    }
}

fn range(shape: &Shape) -> String {
    let whole = |limit: &Number| format!("{:.0}", limit.as_f64().unwrap_or_default());
    limits(shape.min.as_ref().map(whole), shape.max.as_ref().map(whole))
}

fn float_range(shape: &Shape) -> String {
    let float = |limit: &Number| format!("{:?}", limit.as_f64().unwrap_or_default());
    limits(shape.min.as_ref().map(float), shape.max.as_ref().map(float))
}

fn limits(min: Option<String>, max: Option<String>) -> String {
    match (min, max) {
        (None, None) => "Range::any()".to_owned(),
        (Some(min), None) => format!("Range::from({min})"),
        (None, Some(max)) => format!("Range::to({max})"),
        (Some(min), Some(max)) => format!("Range::of({min}, {max})"),
    }
}

fn timestamp_format(shape: &Shape) -> anyhow::Result<&'static str> {
    Ok(match shape.timestamp_format.as_deref() {
        None => "None",
        Some("iso8601") => "Some(TimestampFormat::Iso8601)",
        Some("rfc822") => "Some(TimestampFormat::HttpDate)",
        Some("unixTimestamp") => "Some(TimestampFormat::EpochSeconds)",
        Some(other) => bail!("{other} is no form of timestamps"),
    })
}

/// A raw string literal.
fn raw_text(text: &str) -> String {
    let mut fence = String::new();
    while text.contains(&format!("\"{fence}")) {
        fence.push('#');
    }
    format!("r{fence}\"{text}\"{fence}")
}
