//! An explanation as people read it, and as machines do.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Answer, Explanation, Stage};
use crate::directory::imagined::Asked;

impl Explanation {
    /// For people: numbered stages. Control characters of the sample's own values are made harmless for a terminal.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (index, stage) in self.stages.iter().enumerate() {
            let _ = writeln!(text, "{} {}", index + 1, stage.name);
            for line in &stage.lines {
                paragraph(&mut text, 2, line);
            }
            for (index, asked) in stage.asked.iter().enumerate() {
                call(&mut text, index + 1, asked);
            }
            if let Some(answer) = &stage.answer {
                answered(&mut text, answer);
            }
        }
        text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
    }

    /// For machines: `{"tenant", "refused", "stages": [{"stage", "says"}], "downstream": […], "answer": {…}}`.
    pub fn json(&self) -> Value {
        let stages = self.stages.iter().map(|stage| json!({ "stage": stage.name, "says": stage.lines }));
        let asked = self.stages.iter().flat_map(|stage: &Stage| &stage.asked).map(|asked| match asked {
            Asked::Call { purpose, method, url, token, body } => json!({
                "purpose": purpose,
                "method": method.as_str(),
                "url": url,
                "authorization": token.then_some("Bearer …"),
                "body": body,
            }),
            Asked::Own { purpose, values } => json!({ "purpose": purpose, "values": values }),
        });
        let answer = self.answer();
        json!({
            "tenant": self.tenant,
            "refused": answer.is_some_and(Answer::refuses),
            "stages": stages.collect::<Vec<_>>(),
            "downstream": asked.collect::<Vec<_>>(),
            "answer": answer.map(|answer| json!({
                "status": answer.status.as_u16(),
                "headers": answer.headers.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str())))
                    .collect::<serde_json::Map<_, _>>(),
                "body": answer.body,
            })),
        })
    }
}

fn call(text: &mut String, number: usize, asked: &Asked) {
    let _ = writeln!(text, "  {number}. {}", asked.purpose());
    match asked {
        Asked::Call { method, url, token, body, .. } => {
            let _ = writeln!(text, "     {method} {url}");
            if *token {
                text.push_str("     Authorization: Bearer …\n");
            }
            if let Some(body) = body {
                text.push_str("     Content-Type: application/json\n");
                document(text, 5, body);
            }
        }
        Asked::Own { values, .. } => {
            if let Some(values) = values {
                document(text, 5, values);
            }
        }
    }
}

fn answered(text: &mut String, answer: &Answer) {
    let _ = writeln!(text, "  {}", answer.status);
    for (name, value) in &answer.headers {
        let _ = writeln!(text, "  {name}: {value}");
    }
    if let Some(body) = &answer.body {
        document(text, 2, body);
    }
}

fn document(text: &mut String, indent: usize, value: &Value) {
    paragraph(text, indent, &format!("{value:#}"));
}

fn paragraph(text: &mut String, indent: usize, lines: &str) {
    for line in lines.lines() {
        let _ = writeln!(text, "{:indent$}{line}", "");
    }
}
