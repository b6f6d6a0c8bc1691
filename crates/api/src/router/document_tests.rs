//! The document of the real routes.

use std::collections::BTreeMap;

use super::*;

#[test]
fn the_document_changes_in_review_only() {
    insta::assert_snapshot!("openapi", document().to_pretty_json().unwrap());
}

#[test]
fn no_two_schemas_share_a_name() {
    // The document keeps the first of two schemas of one name and drops the other.
    let mut seen = BTreeMap::new();
    let all = keyed().into_iter().chain(signed()).chain(free());
    for (name, schema) in all.flat_map(|(schemas, ..)| schemas) {
        let text = serde_json::to_string(&schema).unwrap();
        let first = seen.entry(name.clone()).or_insert_with(|| text.clone());
        assert_eq!(*first, text, "two schemas are called {name}");
    }
    assert!(seen.len() > 10, "{seen:?}");
}

#[test]
fn every_operation_is_described_and_may_refuse() {
    let document = serde_json::to_value(document()).unwrap();
    let mut ids = BTreeMap::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let what = format!("{method} {path}");
            assert!(operation["summary"].is_string(), "{what} says nothing of itself");
            let id = operation["operationId"].as_str().unwrap();
            assert_eq!(ids.insert(id.to_owned(), what.clone()), None, "{what}: `{id}` is taken");
            assert!(operation["tags"].is_array(), "{what} has no tag");
            assert!(operation["responses"]["4XX"].is_object(), "{what}");
        }
    }
    for limit in ["86400", "2592000", "17179869184"] {
        assert!(document["info"]["description"].as_str().unwrap().contains(limit), "{limit}");
    }
}

/// Derives take numbers alone, so those that stand in attributes are held to the limits here.
#[test]
fn the_document_tells_the_bounds_that_are_checked() {
    let document = serde_json::to_value(document()).unwrap();
    let field = |schema: &str, name: &str| {
        document["components"]["schemas"][schema]["properties"][name].clone()
    };
    let parameter = |path: &str, name: &str| {
        let all = document["paths"][path]["get"]["parameters"].as_array().unwrap();
        all.iter().find(|parameter| parameter["name"] == name).unwrap()["schema"].clone()
    };
    let secs = |limit: std::time::Duration| Some(limit.as_secs());
    let events = "/v1/sandboxes/{id}/events";
    for (schema, least, most) in [
        (field("CreateSandbox", "cpu"), 1, Some(u64::from(limits::MAX_CPU))),
        (field("CreateApp", "cpu"), 1, Some(u64::from(limits::MAX_CPU))),
        (
            field("CreateSandbox", "memory_mb"),
            u64::from(limits::MIN_MEMORY_MIB),
            Some(u64::from(limits::MAX_MEMORY_MIB)),
        ),
        (
            field("CreateApp", "memory_mb"),
            u64::from(limits::MIN_MEMORY_MIB),
            Some(u64::from(limits::MAX_MEMORY_MIB)),
        ),
        (field("BuildTemplate", "cpu"), 1, Some(u64::from(limits::MAX_CPU))),
        (
            field("BuildTemplate", "memory_mb"),
            u64::from(limits::MIN_MEMORY_MIB),
            Some(u64::from(limits::MAX_MEMORY_MIB)),
        ),
        (
            field("BuildTemplate", "size_mb"),
            u64::from(limits::MIN_TEMPLATE_MIB),
            Some(u64::from(limits::MAX_TEMPLATE_MIB)),
        ),
        (field("CreateSandbox", "ttl_seconds"), 1, secs(limits::MAX_TTL)),
        (
            field("CreateVolume", "size_mb"),
            u64::from(limits::MIN_VOLUME_MIB),
            Some(u64::from(limits::MAX_VOLUME_MIB)),
        ),
        (field("CreateSchedule", "timeout_seconds"), 1, secs(limits::MAX_SCHEDULE_TIMEOUT)),
        (field("EnablePreviewRepo", "github_repo_id"), 1, Some(limits::MAX_REPOSITORY_NUMBER)),
        (field("SetLifecycle", "ttl_seconds"), 1, secs(limits::MAX_TTL)),
        (field("RunCell", "timeout_ms"), 1, secs(limits::MAX_EXEC_TIMEOUT * 1000)),
        (field("CreateToken", "expires_in_days"), 1, Some(u64::from(limits::MAX_KEY_DAYS))),
        (parameter("/v1/apps", "limit"), 1, Some(u64::from(limits::MAX_PAGE_ITEMS))),
        (parameter(events, "tail"), 1, Some(u64::from(limits::MAX_EVENTS))),
        (parameter(events, "after"), 0, Some(limits::MAX_EVENT_SEQ)),
        (parameter(events, "Last-Event-ID"), 0, Some(limits::MAX_EVENT_SEQ)),
    ] {
        assert_eq!(schema["minimum"].as_u64(), Some(least), "{schema}");
        assert_eq!(schema["maximum"].as_u64(), most, "{schema}");
    }
    for name in ["CreateSandbox", "CreateApp"] {
        let step = field(name, "memory_mb")["multipleOf"].as_u64();
        assert_eq!(step, Some(u64::from(limits::MEMORY_STEP_MIB)));
    }
    let timeout = field("ExecCommand", "timeout_seconds");
    assert_eq!(timeout["maximum"].as_u64(), secs(limits::MAX_EXEC_TIMEOUT));
    for (schema, most) in [
        (field("CreateToken", "label"), limits::MAX_KEY_LABEL_CHARS),
        (field("CreateApp", "name"), limits::MAX_APP_NAME_BYTES),
    ] {
        assert_eq!(schema["maxLength"].as_u64(), u64::try_from(most).ok(), "{schema}");
    }
    let volumes = field("CreateSandbox", "volumes");
    assert_eq!(volumes["maxItems"].as_u64(), u64::try_from(limits::MAX_VOLUMES_ATTACHED).ok());
    let key = document["paths"]["/v1/apps"]["post"]["parameters"][0]["schema"].clone();
    assert_eq!(key["maxLength"].as_u64(), u64::try_from(limits::MAX_IDEMPOTENCY_KEY_BYTES).ok());
}
