//! The description of the interface: that it is what the table says, that it is sound, and that answers are as it says.

use std::collections::BTreeSet;
use std::path::Path;

use farhand::auth::role::Role;
use farhand::net::api::TABLE;
use farhand::net::http::endpoint::Method;
use farhand::net::http::openapi::document;
use serde_json::Value;

use super::bench::{Bench, bearer, path};

#[test]
fn what_is_checked_in_is_what_the_table_says() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
    let told = format!("{:#}\n", document(TABLE));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&file, &told).unwrap();
    }
    let kept = std::fs::read_to_string(file).unwrap();
    assert!(told == kept, "run `UPDATE_GOLDEN=1 cargo test --test host openapi`, and look at what it changes");
}

#[tokio::test]
async fn it_is_served_as_it_is_and_not_twice() {
    let bench = Bench::new().await;
    let answer = bench.ask("GET /api/v1/openapi.json", "", "").await;
    assert_eq!(200, answer.status);
    assert!(document(TABLE) == answer.json(), "it is another than the one that is checked in");
    let tag = answer.line("etag").unwrap();
    let again = bench.ask("GET /api/v1/openapi.json", &format!("If-None-Match: {tag}\r\n"), "").await;
    assert_eq!((304, Some(tag), ""), (again.status, again.line("etag"), &*again.text()));
    let other = bench.ask("GET /api/v1/openapi.json", "If-Match: \"other\"\r\n", "").await;
    assert_eq!((412, "changed".into()), (other.status, other.code()));
}

/// Calls `look` for a value and for every one within it.
fn walk<'a>(value: &'a Value, look: &mut impl FnMut(&'a Value)) {
    look(value);
    match value {
        Value::Object(map) => map.values().for_each(|value| walk(value, look)),
        Value::Array(list) => list.iter().for_each(|value| walk(value, look)),
        _ => (),
    }
}

/// What a schema's reference leads to.
fn follow<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let Some(reference) = schema["$ref"].as_str() else { return schema };
    let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("{reference} leads elsewhere"));
    root.pointer(pointer).unwrap_or_else(|| panic!("{reference} leads nowhere"))
}

/// Every operation, with its path.
fn operations(root: &Value) -> Vec<(&String, &Value)> {
    let paths = root["paths"].as_object().unwrap();
    paths.iter().flat_map(|(path, item)| item.as_object().unwrap().values().map(move |one| (path, one))).collect()
}

#[test]
fn it_is_sound() {
    let root = document(TABLE);
    assert_eq!("3.1.0", root["openapi"]);
    for required in ["/info/title", "/info/version", "/paths", "/components/schemas"] {
        assert!(root.pointer(required).is_some(), "{required}");
    }
    let mut references = 0;
    walk(&root, &mut |value| {
        if value.get("$ref").is_some_and(Value::is_string) {
            references += 1;
            follow(&root, value);
        }
    });
    assert!(20 < references);
    let (mut ids, all) = (BTreeSet::new(), operations(&root));
    assert_eq!(TABLE.rows().count(), all.len());
    for (path, operation) in all {
        let id = operation["operationId"].as_str().unwrap();
        assert!(id.chars().all(|c| c.is_ascii_alphanumeric()) && ids.insert(id), "{path}: {id}");
        assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{path}");
        for (status, response) in operation["responses"].as_object().unwrap() {
            assert!(status.parse::<u16>().is_ok() && response["description"].is_string(), "{path} {status}");
        }
        let named = operation["parameters"].as_array().into_iter().flatten();
        let named: Vec<_> = named.filter(|parameter| parameter["in"] == "path").map(|one| &one["name"]).collect();
        let braced: Vec<_> = path.split(['{', '}']).skip(1).step_by(2).collect();
        assert_eq!(braced, named, "{path}");
        for scheme in operation["security"].as_array().unwrap().iter().flat_map(|one| one.as_object().unwrap().keys()) {
            assert!(root["components"]["securitySchemes"].get(scheme).is_some(), "{path}: {scheme}");
        }
    }
}

/// Says where a value is not as its schema has it.
fn misfits(root: &Value, schema: &Value, value: &Value, place: &str) -> Vec<String> {
    let schema = follow(root, schema);
    if let Some(any) = schema["anyOf"].as_array().or(schema["oneOf"].as_array()) {
        let fits = any.iter().any(|one| misfits(root, one, value, place).is_empty());
        return if fits { Vec::new() } else { vec![format!("{place}: {value} is none of {any:?}")] };
    }
    let mut wrong = Vec::new();
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let is_kind = |named: &Value| named == kind || (named == "number" && kind == "integer");
    let fits = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().any(is_kind),
        kind => is_kind(kind),
    };
    let constant = schema.get("const").is_none_or(|constant| constant == value);
    let listed = schema["enum"].as_array().is_none_or(|values| values.contains(value));
    if !(fits && constant && listed) {
        wrong.push(format!("{place}: {value} is not {schema}"));
    }
    let required = schema["required"].as_array().into_iter().flatten();
    wrong.extend(
        required.filter(|key| value.get(key.as_str().unwrap()).is_none()).map(|key| format!("{place}: no {key}")),
    );
    for (key, value) in value.as_object().into_iter().flatten() {
        match schema["properties"].get(key).or(schema.get("additionalProperties")) {
            Some(schema) => wrong.extend(misfits(root, schema, value, &format!("{place}.{key}"))),
            None => wrong.push(format!("{place}: {key} is not described")),
        }
    }
    let items = value.as_array().into_iter().flatten();
    wrong.extend(items.flat_map(|value| misfits(root, &schema["items"], value, &format!("{place}[]"))));
    wrong
}

#[tokio::test]
async fn answers_are_as_it_says() {
    let (bench, _appliance) = Bench::with_slots().await;
    let root = document(TABLE);
    for (name, text) in [
        ("started.json", r#"{"why":"fallback","detail":"B"}"#),
        ("health.json", r#"{"low_voltage":{"now":false,"ever":true},"celsius":48,"card":"failing"}"#),
    ] {
        std::fs::write(bench.folders.run().join(name), text).unwrap();
    }
    bench.login().await;
    let mut seen = 0;
    for row in TABLE.rows().filter(|row| row.method == Method::Get && row.answers.schema.is_some()) {
        let path = path(row.path);
        let answer = bench.ask(&format!("GET {path}"), &bearer(Role::Administrator), "").await;
        assert_eq!(200, answer.status, "{row:?}");
        let schema = &root["paths"][row.path]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        assert_eq!(Vec::<String>::new(), misfits(&root, schema, &answer.json(), row.path));
        seen += 1;
    }
    assert!(4 < seen);
    let power = bench.ask("POST /api/v1/seats/main/power", &bearer(Role::Operator), r#"{"press":"reset"}"#).await;
    let schema = &root["paths"]["/api/v1/seats/{seat}/power"]["post"]["responses"]["202"]["content"];
    assert_eq!(Vec::<String>::new(), misfits(&root, &schema["application/json"]["schema"], &power.json(), "power"));
    let wrong = misfits(&root, &root["components"]["schemas"]["Health"], &serde_json::json!({"ok": 1, "x": 2}), "x");
    assert_eq!(2, wrong.len(), "another kind, and a key too many: {wrong:?}");
}
