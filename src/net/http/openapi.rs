//! Describes a table as OpenAPI 3.1 has it.
//!
//! What it says is what the rows say: nothing is written twice, and nothing can be forgotten.

use std::collections::BTreeMap;

use hyper::StatusCode;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::codes::Code;
use super::endpoint::{Access, Query};
use super::row::Row;
use super::table::Table;

/// The version of the interface: what stands in its paths.
const VERSION: &str = "1";

/// Describes every row of a table.
pub fn document(table: Table) -> Value {
    // What is read and what is written differ in what may be missing.
    let settings = || {
        SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        })
    };
    let mut reads = settings().for_deserialize().into_generator();
    let mut writes = settings().for_serialize().into_generator();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for row in table.rows() {
        let operation = operation(row, &mut reads, &mut writes);
        paths.entry(row.path).or_default().insert(row.method.as_str().to_ascii_lowercase(), operation);
    }
    let mut schemas = reads.take_definitions(true);
    schemas.extend(writes.take_definitions(true));
    schemas.insert("Error".into(), error());
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Farhand",
            "version": VERSION,
            "summary": "Keyboard, screen, mouse and power button of another machine, over the network",
            "license": { "name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "session": { "type": "apiKey", "in": "cookie", "name": super::door::SESSION_COOKIE },
                "token": { "type": "http", "scheme": "bearer" },
            },
        },
    });
    join_lines(&mut document);
    document
}

/// Makes a line of each paragraph, so that a comment in our sources may be wrapped otherwise without changing what is
/// described.
fn join_lines(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(text)) = map.get_mut("description") {
                let paragraphs = text.split("\n\n").map(|paragraph| paragraph.replace('\n', " "));
                *text = paragraphs.collect::<Vec<_>>().join("\n\n");
            }
            map.values_mut().for_each(join_lines);
        }
        Value::Array(list) => list.iter_mut().for_each(join_lines),
        _ => (),
    }
}

fn operation(row: &Row, reads: &mut SchemaGenerator, writes: &mut SchemaGenerator) -> Value {
    let mut operation = json!({
        "operationId": id(row),
        "summary": row.summary,
        "tags": [tag(row.path)],
        "responses": responses(row, writes),
    });
    let access = match row.access {
        Access::Public => json!("public"),
        Access::Enrolling | Access::Session => json!("session"),
        Access::Needs(privilege) => json!(format!("{privilege:?}").to_lowercase()),
    };
    operation["x-privilege"] = access;
    operation["security"] =
        if row.access == Access::Public { json!([]) } else { json!([{ "session": [] }, { "token": [] }]) };
    let named = row.parameter.map(|named| parameter(named.name, "path", json!({ "type": "string" })));
    let query = row.query.iter().map(|Query { name, values }| {
        let schema = if values.is_empty() { json!({ "type": "string" }) } else { json!({ "enum": values }) };
        let mut query = parameter(name, "query", schema);
        query["required"] = json!(!values.is_empty());
        query
    });
    let parameters: Vec<Value> = named.into_iter().chain(query).collect();
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some(media) = row.accepts.media {
        let schema = row.accepts.schema.map_or_else(|| json!({}), |schema| json!({ "schema": schema(reads) }));
        let most = row.accepts.most;
        let required = row.accepts.required;
        let description = format!("at most {most} bytes");
        operation["requestBody"] =
            json!({ "required": required, "description": description, "content": { media: schema } });
    }
    operation
}

fn parameter(name: &str, place: &str, schema: Value) -> Value {
    json!({ "name": name, "in": place, "required": true, "schema": schema })
}

/// The answer if all goes well, and the errors by their statuses.
fn responses(row: &Row, writes: &mut SchemaGenerator) -> Value {
    let status = row.answers.status;
    let mut well = json!({ "description": status.canonical_reason().unwrap_or_default() });
    if let Some(media) = row.answers.media {
        let schema = row.answers.schema.map_or_else(|| json!({}), |schema| json!({ "schema": schema(writes) }));
        well["content"] = json!({ media: schema });
    }
    let mut responses = BTreeMap::from([(status.as_str().to_string(), well)]);
    let mut errors: BTreeMap<StatusCode, Vec<&Code>> = BTreeMap::new();
    for code in row.codes() {
        let of_status = errors.entry(code.status).or_default();
        if !of_status.contains(&code) {
            of_status.push(code);
        }
    }
    for (status, codes) in errors {
        let names: Vec<String> = codes.iter().map(|code| format!("`{}`", code.name)).collect();
        let content = json!({ "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } });
        responses.insert(status.as_str().into(), json!({ "description": names.join(", "), "content": content }));
    }
    json!(responses)
}

fn error() -> Value {
    let text = || json!({ "type": "string" });
    json!({
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["code", "message"],
                "properties": { "code": text(), "message": text(), "detail": {} },
            },
        },
    })
}

/// What is behind the version: the resource.
fn tag(path: &str) -> &str {
    path.split('/').nth(3).unwrap_or_default()
}

/// A name for the operation, as programs that are made from the description use it: `postSeatsSeatPower`.
fn id(row: &Row) -> String {
    let words = row.path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).skip(2);
    let capital = |word: &str| word[..1].to_ascii_uppercase() + &word[1..];
    row.method.as_str().to_ascii_lowercase() + &words.map(capital).collect::<String>()
}
