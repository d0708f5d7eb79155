//! Requests that a machine makes of the served description: whatever it thinks of, no answer is a fault of the server, and
//! every answer is of a documented status, type and shape. Knows no route.

use tokio::process::Command;

use crate::support::gateway::Gateway;
use crate::support::leash::repository;
use crate::support::rest::Person;

/// Of each operation and kind; the boundaries of every field come besides.
const EXAMPLES: &str = "20";

/// What must hold of every answer.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";

#[tokio::test]
async fn whatever_is_asked_the_answer_is_as_described() {
    let unmetered = [("HOBNOB_USER_RATE", "0"), ("HOBNOB_SIGN_IN_RATE", "0")];
    let gateway = Gateway::embedded_with(&unmetered).await;
    let person = Person::register(&gateway, "machine").await;
    let output = Command::new(repository().join(".tools/python-api/bin/schemathesis"))
        .arg("run")
        .arg(gateway.url("/openapi.json"))
        .args([
            "--header",
            &format!("Authorization: Bearer {}", person.token),
        ])
        .args(["--checks", CHECKS, "--phases", "coverage,fuzzing"])
        .args([
            "--max-examples",
            EXAMPLES,
            "--seed",
            "1",
            "--workers",
            "1",
            "--no-color",
        ])
        .current_dir(std::env::temp_dir())
        .output()
        .await
        .expect("`make tools` installs schemathesis");
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{report}");
    // A run that made no request would pass as well.
    assert!(
        report.contains(" generated, ") && report.contains("Tested: "),
        "{report}"
    );
    assert!(!report.contains("Tested: 0"), "{report}");
}
