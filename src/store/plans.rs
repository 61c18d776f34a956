//! How the statements of the authorization server find their rows: by an index, so that they take as long with 100,000 grants as with
//! ten. The statements are read off the source, so that a new one is looked at too.

use sqlx::{AssertSqlSafe, Row as _};

use super::testing::stores;

/// The files whose statements are looked at.
const SOURCES: &[(&str, &str)] = &[
    ("administrators", include_str!("administrators.rs")),
    ("clients", include_str!("clients.rs")),
    ("codes", include_str!("codes.rs")),
    ("generations", include_str!("generations.rs")),
    ("grants", include_str!("grants.rs")),
    ("secret_tokens", include_str!("secret_tokens.rs")),
    ("sessions", include_str!("sessions.rs")),
];

/// The statements in a file, up to its tests: string literals that begin like one. None has a `"` within.
fn statements(source: &'static str) -> Vec<&'static str> {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    let literals = code.split('"').skip(1).step_by(2);
    literals
        .filter(|text| ["SELECT ", "INSERT ", "UPDATE ", "DELETE "].iter().any(|verb| text.starts_with(verb)))
        .collect()
}

#[tokio::test]
async fn every_statement_finds_its_rows_by_an_index() {
    let stores = stores().await;
    let (mut seen, mut scans) = (0, Vec::new());
    for (file, source) in SOURCES {
        for statement in statements(source) {
            let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
            let plan = sqlx::query(explain).fetch_all(stores.each[0].writer()).await.unwrap();
            for step in plan.iter().map(|row| row.get::<String, _>(3)) {
                if step.starts_with("SCAN ") && step != "SCAN CONSTANT ROW" {
                    scans.push(format!("{file}: {step}: {statement}"));
                }
            }
            seen += 1;
        }
    }
    assert!(scans.is_empty(), "{}", scans.join("\n"));
    assert!(seen > 30, "only {seen} statements were found");
}
