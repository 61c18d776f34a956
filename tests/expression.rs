//! The mapping language: every example of its reference, its mistakes, its bounds, and the laws that hold for any text.

use portcullis::mapping::Inverse;
use portcullis::mapping::expression::{self, Expression, Input, Moment, Outcome, Sample, Scim, Syntax};
use portcullis::scim::path::AttrPath;
use portcullis::scim::resource::Resource;
use portcullis::types::{Random, Timestamp};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

fn person() -> Value {
    json!({
        "userName": "ada@example.com", "nickName": "ada", "title": "Dr", "active": true, "displayName": "Ada L.",
        "name": {"givenName": "Ada", "familyName": "Lovelace"},
        "emails": [{"type": "work", "value": "ada@example.com", "primary": true}, {"type": "home", "value": "a@home"}],
        "phoneNumbers": [{"type": "work", "value": "+1 555 0100"}],
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":
            {"department": "Sales", "manager": {"value": "m1"}, "employeeNumber": "0042"},
        "one": "1", "tier": "gold", "quota": 11, "empty": "", "hired": "2023-11-14", "many": ["b", "a", "b"], "single": ["s"],
        "guest": "Guest",
    })
}

fn evaluated(text: &str) -> Result<Outcome, String> {
    let Value::Object(record) = person() else { panic!("an object") };
    let resource =
        Resource::parse(portcullis::scim::ResourceType::User, Value::Object(record.clone()).to_string().as_bytes())
            .expect("a person")
            .resource;
    let expression = Expression::compile(text, &Sample(&record)).map_err(|problems| {
        problems.iter().map(|it| format!("{}..{}: {it}", it.span.start, it.span.end)).collect::<Vec<_>>().join("\n")
    })?;
    let input = Input { person: Some(&resource), record: Some(&record) };
    let moment = Moment { now: Timestamp::from_seconds(1_700_000_000), random: Some(Random::seeded(1)) };
    expression.evaluate(input, &moment).map_err(|fault| fault.to_string())
}

#[track_caller]
fn gives(rows: &[(&str, Value)]) {
    for (text, wanted) in rows {
        let wanted = if wanted.is_null() { Outcome::Null } else { Outcome::Value(wanted.clone()) };
        assert_eq!(evaluated(text), Ok(wanted), "{text}");
    }
}

#[track_caller]
fn fails(rows: &[(&str, &str)]) {
    for (text, wanted) in rows {
        assert_eq!(evaluated(text), Err((*wanted).to_owned()), "{text}");
    }
}

#[test]
fn text_functions() {
    gives(&[
        (r#"Append([nickName], "-x")"#, json!("ada-x")),
        (r#"Append([profileUrl], "-x")"#, json!("-x")),
        (r#"Join("/", "a", [empty], "b")"#, json!("a/b")),
        (r#"Join("", "a", " ", "b")"#, json!("a b")),
        (r#"Join(", ", [emails.value], "x")"#, json!("ada@example.com, a@home, x")),
        (r#"Left("portal", 4)"#, json!("port")),
        (r#"Left("portal", 0)"#, json!("")),
        (r#"Left("portal", -1)"#, json!("portal")),
        (r#"Left("pö", 9)"#, json!("pö")),
        (r"Left([profileUrl], 4)", json!("")),
        (r#"Mid("gateway", 5, 2)"#, json!("wa")),
        (r#"Mid("gateway", 5, 99)"#, json!("way")),
        (r#"Mid("gateway", 99, 2)"#, json!("")),
        (r#"InStr("a-b-c", "-", 3)"#, json!(4)),
        (r#"InStr("a-b-c", "-")"#, json!(2)),
        (r#"InStr("a-b-c", "x")"#, json!(0)),
        (r#"InStr("ÄBC", "b", , vbTextCompare)"#, json!(2)),
        (r#"InStr("ABC", "b", 1, vbBinaryCompare)"#, json!(0)),
        (r#"Word("eu/west:3", 2, "/:")"#, json!("west")),
        (r#"Word("eu//west", 2, "/")"#, json!("west")),
        (r#"Word("eu", 0, "/")"#, json!("")),
        (r#"Word("eu", 2, "/")"#, json!("")),
        (r#"StripSpaces("A 1 B")"#, json!("A1B")),
        ("StripSpaces(\"A\u{a0}1\tB\")", json!("A\u{a0}1\tB")),
        (r#"ToUpper("q7")"#, json!("Q7")),
        (r#"ToUpper("straße")"#, json!("STRAßE")),
        (r#"ToLower("İI")"#, json!("ii")),
        (r#"ToUpper("istanbul", "tr-TR")"#, json!("İSTANBUL")),
        (r#"ToLower("ISI", "az")"#, json!("ısı")),
        (r#"ToUpper("i", "de")"#, json!("I")),
        (r#"ToUpper("ᾳᾀ")"#, json!("ᾼᾈ")),
        (r#"PCase("NEW york")"#, json!("New York")),
        (r#"PCase("o'neill-smith 2nd")"#, json!("O'Neill-Smith 2nd")),
        (r#"PCase("o'neill-smith x", " ")"#, json!("O'neill-smith X")),
        (r#"NormalizeDiacritics("Čapek")"#, json!("Capek")),
        (r#"NormalizeDiacritics("Æther Øst œuvre Straße Łódź ı đ")"#, json!("AEther OEst oeuvre Strasse Lodz i đ")),
        ("NormalizeDiacritics(\"Ünal U\u{308}nal й कि ᾶ\")", json!("Unal Unal й कि ᾶ")),
        (r#"ConvertToBase64("A")"#, json!("QQA=")),
        (r#"ConvertToUTF8Hex("A!")"#, json!("4121")),
        (r#"ConvertToUTF8Hex("é")"#, json!("C3A9")),
        (r"ToLower([profileUrl])", Value::Null),
    ]);
}

#[test]
fn tests_and_flow() {
    gives(&[
        (r#"IIF([guest]="Guest","g","m")"#, json!("g")),
        (r#"IIF([empty]="","yes","no")"#, json!("no")),
        (r#"IIF([empty]<>"a","yes","no")"#, json!("no")),
        (r#"IIF([one]=1,"yes","no")"#, json!("yes")),
        (r#"IIF("True","yes","no")"#, json!("yes")),
        (r#"IIF([active],"yes","no")"#, json!("yes")),
        (r#"IIF([active]="True","yes","no")"#, json!("yes")),
        (r#"IIF(IsNullOrEmpty([empty]),"yes","no")"#, json!("yes")),
        (r#"IIF([quota]>=11,"yes","no")"#, json!("yes")),
        (r#"IIF([quota]<10.5,"yes","no")"#, json!("no")),
        (r#"IIF(CDate([hired])<Now(),"yes","no")"#, json!("yes")),
        (r#"IIF("a"="A","yes","no")"#, json!("no")),
        (r#"IIF(IsPresent([title]), "yes", Item([many], 0))"#, json!("yes")),
        (r#"Switch([tier], "basic", "1", "gold")"#, json!("basic")),
        (r#"Switch([tier], "basic", "gold", "1", "gold", "2")"#, json!("1")),
        (r#"Switch([tier], , "x", "1")"#, Value::Null),
        (r#"Switch([profileUrl], "d", "", "none")"#, json!("none")),
        (r#"Coalesce([profileUrl], [displayName], "?")"#, json!("Ada L.")),
        (r#"Coalesce([empty], "?")"#, json!("")),
        (r"Coalesce([profileUrl], [locale])", Value::Null),
        ("IsNull([title])", json!(false)),
        ("IsNull([locale])", json!(true)),
        ("IsNull([empty])", json!(false)),
        ("IsNullOrEmpty([empty])", json!(true)),
        ("IsPresent([title])", json!(true)),
        ("IsPresent([emails.value])", json!(true)),
        (r#"IsString("t")"#, json!(true)),
        ("IsString(1)", json!(false)),
        ("IsString([locale])", json!(false)),
        ("Not([active])", json!(false)),
        ("Not(\"x\")", json!(true)),
        ("Not([locale])", json!(true)),
        ("CBool([quota] > 10)", json!(true)),
        ("CBool(0)", json!(false)),
        ("CBool(\"1\")", json!(true)),
        ("CBool([active])", json!(true)),
        ("BitAnd(&H6, 3)", json!(2)),
        ("BitAnd(&hff, \"15\")", json!(15)),
        ("IgnoreFlowIfNullOrEmpty([title])", json!("Dr")),
        ("Redact([title])", json!("Dr")),
        ("[title]", json!("Dr")),
        ("\"fixed\"", json!("fixed")),
        ("[department] = \"Sales\"", json!(true)),
        ("[department] <> \"Sales\"", json!(false)),
    ]);
    for (text, wanted) in [
        (r#"IIF([one]="1", IgnoreAttributeFlow, [title])"#, Outcome::LeaveAttribute),
        (r#"IIF([one]="2", [title], IgnoreObjectFlow)"#, Outcome::LeaveObject),
        (r#"IIF([one]="1", [title], IgnoreAttributeFlow)"#, Outcome::Value(json!("Dr"))),
        ("IgnoreFlowIfNullOrEmpty([empty])", Outcome::LeaveAttribute),
        ("Switch([tier], IgnoreFlowIfNullOrEmpty([locale]), \"x\", \"y\")", Outcome::LeaveAttribute),
        ("Redact(IgnoreFlowIfNullOrEmpty([locale]))", Outcome::LeaveAttribute),
    ] {
        assert_eq!(evaluated(text), Ok(wanted), "{text}");
    }
}

#[test]
fn lists_and_conversions() {
    gives(&[
        ("Count([emails.value])", json!(2)),
        ("Count([title])", json!(1)),
        ("Count([locale])", json!(0)),
        ("Item([emails.value], 2)", json!("a@home")),
        ("Item([emails.value], 3)", Value::Null),
        ("Item([emails[type eq \"home\"].value], 1)", json!("a@home")),
        ("[emails[type eq \"work\"].value]", json!("ada@example.com")),
        (r#"Split("r;w", ";")"#, json!(["r", "w"])),
        (r#"Split("r; ;w, ", ";")"#, json!(["r", "w,"])),
        (r#"Split("", ";")"#, json!([])),
        (r#"Split("a--b", "--")"#, json!(["a", "b"])),
        (r#"RemoveDuplicates(Split("a,b,a", ","))"#, json!(["a", "b"])),
        ("RemoveDuplicates([many])", json!(["b", "a"])),
        ("CStr(BitAnd(5,4))", json!("4")),
        ("CStr([active])", json!("True")),
        ("CStr([manager])", json!("m1")),
        ("CStr(1.50)", json!("1.5")),
        ("Append(7, -2)", json!("7-2")),
        ("[urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department]", json!("Sales")),
        ("[DEPARTMENT]", json!("Sales")),
    ]);
}

#[test]
fn dates() {
    gives(&[
        (r#"CDate("2024-05-01+02:00")"#, json!("4/30/2024 10:00:00 PM")),
        (r#"CDate("2024-05-01T08:15:00.5Z")"#, json!("5/1/2024 8:15:00 AM")),
        (r#"CDate("4/30/2024 10:00:00 PM")"#, json!("4/30/2024 10:00:00 PM")),
        (r#"CDate("4/30/2024 12:00:00 AM")"#, json!("4/30/2024 12:00:00 AM")),
        (r#"DateAdd("n", 90, CDate("2024-05-01"))"#, json!("5/1/2024 1:30:00 AM")),
        (r#"DateAdd("m", 1, "2023-01-31")"#, json!("2/28/2023 12:00:00 AM")),
        (r#"DateAdd("yyyy", -1, "2024-02-29")"#, json!("2/28/2023 12:00:00 AM")),
        (r#"DateAdd("ww", 1, DateAdd("d", -1, "2024-01-01"))"#, json!("1/7/2024 12:00:00 AM")),
        (r#"DateDiff("d", "2024-05-04", "2024-05-05")"#, json!(1)),
        (r#"DateDiff("ww", "2024-05-04", "2024-05-05")"#, json!(1)),
        (r#"DateDiff("ww", "2024-05-05", "2024-05-11")"#, json!(0)),
        (r#"DateDiff("m", "2024-01-31", "2024-02-01")"#, json!(1)),
        (r#"DateDiff("yyyy", "2024-12-31", "2023-01-01")"#, json!(-1)),
        (r#"DateDiff("h", "2024-05-04T10:59:00", "2024-05-04T09:00:00")"#, json!(-1)),
        (r#"DateDiff("d", Now(), CDate([hired]))"#, json!(0)),
        (r#"DateDiff("n", Now(), DateAdd("h", 1, Now()))"#, json!(60)),
        ("DateFromNum(116444736000000000)", json!("1/1/1970 12:00:00 AM")),
        ("DateFromNum(0)", Value::Null),
        ("DateFromNum(9223372036854775807)", Value::Null),
        (r#"NumFromDate("1970-01-01T00:00:00Z")"#, json!(116_444_736_000_000_000_i64)),
        (r#"NumFromDate("1970-01-01 00:00:00")"#, json!(116_444_736_000_000_000_i64)),
        (r#"FormatDateTime("07.11.2024", , "dd.MM.yyyy", "yyyyMMdd")"#, json!("20241107")),
        (r#"FormatDateTime("07.11.2024", "dd.MM.yyyy", "yyyyMMdd")"#, json!("20241107")),
        (
            r#"FormatDateTime(DateAdd("d", 1, "2024-05-01"), , "xx", "yyyy-MM-ddTHH:mm:ssZ")"#,
            json!("2024-05-02T00:00:00Z"),
        ),
        (
            r#"FormatDateTime("2024-05-01T10:00:00+02:00", , "yyyy-MM-ddTHH:mm:sszzz", "dddd d MMMM yyyy h:mm tt K")"#,
            json!("Wednesday 1 May 2024 8:00 AM Z"),
        ),
        (r#"FormatDateTime("Wed May 1 '24 9PM", , "ddd MMM d \\'yy ht\\M", "s")"#, json!("2024-05-01T21:00:00")),
        (
            r#"FormatDateTime("2024-05-01 10:00:00.120", , "yyyy-MM-dd HH:mm:ss.FFF", "o")"#,
            json!("2024-05-01T10:00:00.1200000"),
        ),
        (r#"FormatDateTime("2024-05-01 10:00:00", , "yyyy-MM-dd HH:mm:ss.FFF", "d")"#, json!("05/01/2024")),
        (r#"FormatDateTime("2024-05-01", "AssumeUniversal", "yyyy-MM-dd", "ff'at'%h")"#, json!("00at%12")),
        (r#"FormatDateTime(" 2024-05-01 ", , "yyyy-MM-dd", "%d")"#, json!("1")),
        ("Now()", json!("11/14/2023 10:13:20 PM")),
    ]);
}

#[test]
fn replacing() {
    gives(&[
        (r#"Replace("a.b", ".", , , "-", , )"#, json!("a-b")),
        (r#"Replace("a.b.", ".", , , "")"#, json!("ab")),
        (r##"Replace("ada", "#", , , , , "u-#")"##, json!("u-ada")),
        (r#"Replace("k=9", , "(?<v>\\d)", , "<${v}>", , )"#, json!("k=<9>")),
        (r#"Replace("eu-7", , "-(?<n>\\d)", "n", "0", , )"#, json!("eu-0")),
        (r#"Replace([profileUrl], , "@(?<d>.*)", "d", , [userName], )"#, json!("example.com")),
        (r#"Replace([title], , "@(?<d>.*)", "d", , [userName], )"#, json!("Dr")),
        (r##"Replace([profileUrl], , "#(?<d>.*)", "d", , [userName], )"##, Value::Null),
        (r#"Replace("axb", , "[x]*", , "-")"#, json!("-a--b-")),
        (r#"Replace("ab", , "(a)", , "$1a$1$$$&${x}$9")"#, json!("aaa$a${x}$9b")),
        (r#"Replace("a<b>", , "[\<\>]", , "")"#, json!("ab")),
        (r#"Replace("a<b>", , "\<b\>", , "")"#, json!("a")),
        (r#"Replace("abc", , "(?<=a)b(?=c)", , "-")"#, json!("a-c")),
        (r#"Replace("+1 (555) 0100", , "[^0-9+]", , "")"#, json!("+15550100")),
        (r#"Replace("none", , "x", , "-")"#, json!("none")),
        (r#"Replace([locale], "a", , , "b")"#, Value::Null),
    ]);
}

#[test]
fn mistakes_of_grammar() {
    fails(&[
        ("", "0..0: the expression is empty (write one such as StripSpaces([userName]))"),
        ("ToUpper([title]", "0..7: the parenthesis of ToUpper is never closed (add `)`)"),
        ("ToUpper([title)", "8..9: the bracket is never closed (write [name])"),
        (
            "ToUpper(\"x)",
            "8..9: the text is never closed (add \" at its end; inside a text write \\\" for a quote and \\\\ for a backslash)",
        ),
        ("ToUpper(“x”)", "8..11: `“` is a quote from a word processor (write straight quotes: \"…\")"),
        ("ToUpper(\"x”)", "8..9: the text is never closed (a curly quote closes no text: write \")"),
        ("ToUpper('x')", "8..9: texts stand in double quotes (write \"…\")"),
        (
            "ToUpper(title)",
            "8..13: `title` is no word of this language (an attribute is written [title], a text \"title\", a function title(…))",
        ),
        ("IIF(true, 1, 2)", "4..8: `true` is no word of this language (write \"True\")"),
        ("[title] & \"x\"", "8..9: `&` joins no texts (use Append or Join)"),
        (
            "[a] = 1 AND [b] = 2",
            "8..11: there is no operator AND (nest IIF: in the second argument for AND, in the third for OR; Not(…) is a function)",
        ),
        ("[a] == 1", "4..6: `==` is no comparison (write a single `=`)"),
        ("[a] = 1 = 1", "8..9: comparisons cannot be chained (nest IIF)"),
        ("[title]]", "7..8: `]` closes nothing"),
        ("ToUpper()) ", "9..10: `)` closes nothing or stands where a value is missing"),
        (
            "BitAnd(99999999999999999999, 1)",
            "7..27: is too large or too fine a number (numbers have 64 bits and at most nine decimals)",
        ),
        ("&HXYZ", "0..2: is no hexadecimal number of 64 bits (write one such as &H2A)"),
        ("[]", "0..2: there is no name between the brackets"),
        (
            "ignoreattributeflow",
            "0..19: `ignoreattributeflow` is no word of this language (case counts: write IgnoreAttributeFlow)",
        ),
    ]);
    let deep = |depth: usize| format!("{}\"x\"{}", "Not(".repeat(depth), ")".repeat(depth));
    assert!(evaluated(&deep(64)).is_ok());
    assert_eq!(evaluated(&deep(65)), Err("256..259: calls are nested deeper than 64 (use Switch)".into()));
    assert!(evaluated(&deep(5000)).is_err());
    assert!(evaluated(&"[".repeat(20_000)).is_err());
    assert!(evaluated(&format!("\"{}\"", "x".repeat(40_000))).unwrap_err().contains("longer than 32768 bytes"));
}

#[test]
fn mistakes_of_meaning() {
    fails(&[
        ("StripSpace([title])", "0..10: `StripSpace` is no function (did you mean StripSpaces?)"),
        ("stripspaces([title])", "0..11: `stripspaces` is no function (case counts: write StripSpaces)"),
        ("Frobnicate([title])", "0..10: `Frobnicate` is no function"),
        ("ToUpper([titel])", "8..15: [titel] is no attribute of a user (did you mean [title]?)"),
        (
            "ToUpper([name.givenNam])",
            "8..23: [name.givenNam] is no attribute of a user (did you mean [name.givenName]?)",
        ),
        (
            "ToUpper([givenName])",
            "8..19: [givenName] is no attribute of a user (that is Entra ID's name; in SCIM it arrives as [name.givenName])",
        ),
        (
            "ToUpper([mail])",
            "8..14: [mail] is no attribute of a user (that is Entra ID's name; in SCIM it arrives as [emails[type eq \"work\"].value])",
        ),
        (
            "ToUpper([emails])",
            "8..16: [emails] has parts (write [emails.value] for all of them, or [emails[type eq \"work\"].value] for one)",
        ),
        ("ToUpper([name])", "8..14: [name] has parts (choose one, such as [name.formatted])"),
        (
            "ToUpper([emails.value])",
            "8..22: `source` of ToUpper is a list (take one value with Item(…, 1), or make one text with Join(…))",
        ),
        (
            "ToUpper([emails[type eq work].value])",
            "8..36: [emails[type eq work].value] is no SCIM path (path, character 16: text is written in double quotes: \"work\")",
        ),
        ("Left([title])", "0..13: Left takes 2 arguments, not 1 (it is Left(string, count))"),
        ("Left(, 2)", "0..9: `string` of Left is not given (it is Left(string, count))"),
        ("Left([title], \"x\")", "14..17: `count` of Left is a text that is no whole number (write a number)"),
        ("Left([title], [active])", "14..22: `count` of Left is true or false (a whole number is wanted)"),
        ("Left([title], 1.5)", "14..17: `count` of Left is no whole number (write a number without a point)"),
        (
            "InStr(\"a\", \"b\", 1, \"x\")",
            "19..22: `mode` of InStr is a comparison mode (write vbTextCompare or vbBinaryCompare, without quotes)",
        ),
        (
            "Append(vbTextCompare, \"\")",
            "7..20: vbTextCompare is a mode of InStr (write it as the fourth argument of InStr)",
        ),
        (
            "Append(IgnoreAttributeFlow, \"\")",
            "7..26: IgnoreAttributeFlow cannot stand here (it is a result of IIF or Switch)",
        ),
        (
            "Append(IgnoreFlowIfNullOrEmpty([title]), \"x\")",
            "7..39: `source` of Append cannot be left out (only IIF, Switch and Redact pass on that something is to be left out)",
        ),
        ("IIF([title], 1, 2)", "[title] is neither true nor false"),
        (
            "IIF(\"x\", 1, 2)",
            "4..7: `condition` of IIF is a text that says neither (write a comparison, such as [userType] = \"Guest\")",
        ),
        (
            "IIF([active] = \"true\", 1, 2)",
            "15..21: true and false are compared as the texts they are written as (write \"True\" or \"False\")",
        ),
        (
            "[title] > \"x\"",
            "0..13: text and text have no order (numbers and dates have: compare with a number, or with CDate(…))",
        ),
        (
            "Switch([title], \"d\", \"k\")",
            "0..25: Switch takes at least 4 arguments, not 3 (it is Switch(source, default, key, value, …))",
        ),
        (
            "Switch([title], \"d\", \"k\", \"v\", \"l\")",
            "0..35: Switch has a key without a value: its arguments are 5 (it is Switch(source, default, key, value, …))",
        ),
        (
            "Switch([manager], \"d\", \"k\", \"v\")",
            "0..32: Switch cannot be used on a reference (compare CStr(…) of it in an IIF)",
        ),
        (
            "CDate(\"tomorrow\")",
            "6..16: `text` of CDate is a text that is no date (write one such as \"2024-05-01\" or \"2024-05-01T08:00:00Z\")",
        ),
        ("CDate([quota])", "6..13: `text` of CDate is a number (make one with DateFromNum(…))"),
        (
            "DateAdd(\"x\", 1, Now())",
            "8..11: \"x\" is no interval (write one of \"yyyy\", \"m\" (month), \"d\", \"ww\", \"h\", \"n\" (minute), \"s\")",
        ),
        (
            "FormatDateTime([hired], \"Loose\", \"yyyy\", \"j\")",
            "24..31: `Loose` is no style that is supported: there are RoundtripKind, AllowLeadingWhite, AllowTrailingWhite, AssumeUniversal, AdjustToUniversal\n\
             41..44: `j` alone is a standard format that is not supported: write o, s, u or d, or %j for the custom one",
        ),
        (
            "Replace([title], , \"(\", , \"\")",
            "19..22: the pattern is none: Opening parenthesis without closing parenthesis (inside of a text a backslash is written twice: \"\\\\d\" is the pattern \\d)",
        ),
        ("Replace([title], , \"a\", \"n\", \"\")", "24..27: the pattern has no group `n` (write it as (?<n>…))"),
        (
            "Replace([title], , [title], , \"\")",
            "19..26: `regexPattern` of Replace must be a text written out (patterns are compiled when the configuration is loaded)",
        ),
        (
            "Replace([title], \"\", , , \"x\")",
            "17..19: `oldValue` is empty: nothing can be looked for (leave it out, or write what is to be replaced)",
        ),
        (
            "SingleAppRoleAssignment([appRoleAssignments])",
            "0..23: SingleAppRoleAssignment means nothing here (the identity provider evaluates it before it sends: write Item([roles.value], 1))",
        ),
    ]);
    assert!(
        evaluated("Replace([title], \"a\")")
            .unwrap_err()
            .starts_with("0..21: these parameters of Replace make no sense")
    );
    assert_eq!(evaluated("Append([titel], StripSpace(\"\"))").unwrap_err().lines().count(), 2, "every mistake is told");
}

#[test]
fn faults_name_the_function_and_the_attribute_and_no_value() {
    fails(&[
        ("CDate([tier])", "CDate of [tier]: [tier] is no date"),
        ("BitAnd([tier], 1)", "BitAnd of [tier]: [tier] is no whole number"),
        ("Item([many], 0)", "Item of [many]: `index` is below 1"),
        ("Mid([tier], 0, 1)", "Mid of [tier]: `start` is below 1"),
        ("Mid([tier], 1, -1)", "Mid of [tier]: `length` is negative"),
        ("[tier] > 1", "[tier] and the value written out have no order: only numbers and dates have"),
        ("CBool([tier])", "CBool of [tier]: is neither true nor false nor a number"),
        ("DateAdd(\"yyyy\", 9000, \"2024-01-01\")", "DateAdd: leads beyond the years 1 to 9999"),
        ("FormatDateTime([tier], , \"yyyy\", \"%d\")", "FormatDateTime of [tier]: [tier] does not match `inputFormat`"),
        ("Split([tier], [empty])", "Split of [tier]: `delimiter` is empty"),
        ("Append(Coalesce([many], 1), \"\")", "Append: the result of Coalesce has 3 values where one is wanted"),
    ]);
    gives(&[("Append(Coalesce([single], 1), \"!\")", json!("s!"))]);
}

/// Cases that something once tripped over, or looked as if it would.
#[test]
fn the_corpus_is_survived() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/expression");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).expect("the corpus") {
        let bytes = std::fs::read(entry.expect("an entry").path()).expect("a case");
        expression::exercise(&String::from_utf8_lossy(&bytes));
        seen += 1;
    }
    assert!(seen >= 25, "{seen} cases");
}

/// Text that an expression may look like, and text that it may not.
fn soup() -> impl Strategy<Value = String> {
    let names = [
        "Append",
        "Join",
        "Left",
        "Mid",
        "InStr",
        "Word",
        "StripSpaces",
        "ToLower",
        "ToUpper",
        "PCase",
        "NormalizeDiacritics",
        "Replace",
        "ConvertToBase64",
        "ConvertToUTF8Hex",
        "IIF",
        "Switch",
        "Coalesce",
        "IsNull",
        "IsNullOrEmpty",
        "IsPresent",
        "IsString",
        "Not",
        "CBool",
        "BitAnd",
        "IgnoreFlowIfNullOrEmpty",
        "Count",
        "Item",
        "Split",
        "RemoveDuplicates",
        "CStr",
        "CDate",
        "DateAdd",
        "DateDiff",
        "DateFromNum",
        "NumFromDate",
        "FormatDateTime",
        "Now",
        "Guid",
        "RandomString",
        "Redact",
        "SelectUniqueValue",
        "Nothing",
    ];
    let mut tokens: Vec<String> = names.iter().map(|name| format!("{name}(")).collect();
    let others = [
        "(",
        ")",
        "[",
        "]",
        "\"",
        "\\",
        "\\\"",
        ",",
        ", ",
        ",,",
        "=",
        "<>",
        ">=",
        "<",
        "&H1F",
        "-",
        "7",
        "1.5",
        "0",
        "[userName]",
        "[title]",
        "[x]",
        "[list]",
        "[text]",
        "[active]",
        "[emails.value]",
        "[emails[type eq \"work\"].value]",
        "\"(?<a>.*)\"",
        "\"a\"",
        "\"\"",
        "\"${a}\"",
        "\"yyyy\"",
        "\"m\"",
        "\"2024-05-01\"",
        "vbTextCompare",
        "IgnoreAttributeFlow",
        "IgnoreObjectFlow",
        "“",
        "é",
        "\u{0}",
        "\n",
        " ",
        "AND",
        "9223372036854775807",
        "&",
        "[n]",
    ];
    tokens.extend(others.map(str::to_owned));
    prop_oneof![
        proptest::collection::vec(select(tokens), 0..24).prop_map(|tokens| tokens.concat()),
        any::<String>(),
        "[ -~]{0,40}",
    ]
}

/// Expressions that are right in grammar, with the functions' own names and any number of arguments.
fn grown() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        select(vec![
            "[userName]",
            "[title]",
            "[x]",
            "[n]",
            "[list]",
            "[text]",
            "[active]",
            "[emails.value]",
            "[name.familyName]",
            "[emails[type eq \"work\"].value]",
            "7",
            "-1",
            "0",
            "&H2A",
            "1.5",
            "9223372036854775807",
            "\"\"",
            "\"yyyy\"",
            "\"d\"",
            "\"ww\"",
            "\"2024-05-01\"",
            "\"4/30/2024 10:00:00 PM\"",
            "\"yyyy-MM-dd\"",
            "\" \"",
            "\"(?<a>a|.)+\"",
            "\"[a-f]*$\"",
            "\"a\"",
            "\"${a}$1$&\"",
            "\"True\"",
            "\"tr\"",
            "",
            "IgnoreAttributeFlow",
            "vbTextCompare",
        ])
        .prop_map(str::to_owned),
        "[a-zA-Zé€ İ.:/-]{0,8}".prop_map(|text| format!("\"{text}\"")),
    ];
    leaf.prop_recursive(5, 60, 7, |inner| {
        let one_of = inner.clone();
        let call = move |name: &'static str, count: usize| {
            proptest::collection::vec(one_of.clone(), count)
                .prop_map(move |arguments| format!("{name}({})", arguments.join(", ")))
        };
        let one = [
            "StripSpaces",
            "ToLower",
            "ToUpper",
            "PCase",
            "NormalizeDiacritics",
            "ConvertToBase64",
            "ConvertToUTF8Hex",
            "IsNull",
            "IsNullOrEmpty",
            "IsPresent",
            "IsString",
            "Not",
            "CBool",
            "IgnoreFlowIfNullOrEmpty",
            "Count",
            "RemoveDuplicates",
            "CStr",
            "CDate",
            "DateFromNum",
            "NumFromDate",
            "Redact",
        ];
        let two = ["Append", "Left", "Item", "Split", "BitAnd", "Coalesce", "Join", "PCase"];
        let three = ["Mid", "InStr", "Word", "IIF", "DateAdd", "DateDiff", "Join"];
        prop_oneof![
            select(one.to_vec()).prop_flat_map({
                let call = call.clone();
                move |name| call(name, 1)
            }),
            select(two.to_vec()).prop_flat_map({
                let call = call.clone();
                move |name| call(name, 2)
            }),
            select(three.to_vec()).prop_flat_map({
                let call = call.clone();
                move |name| call(name, 3)
            }),
            select(vec!["Switch", "FormatDateTime", "InStr"]).prop_flat_map({
                let call = call.clone();
                move |name| call(name, 4)
            }),
            call("Replace", 7),
            (inner.clone(), select(vec!["=", "<>", "<", ">="]), inner.clone())
                .prop_map(|(a, op, b)| format!("CBool({a} {op} {b})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(text in soup()) {
        expression::exercise(&text);
    }

    #[test]
    fn no_expression_makes_it_panic(text in grown()) {
        expression::exercise(&text);
    }

    /// Printed as it is written, and read as it is printed.
    #[test]
    fn what_is_printed_reads_the_same(text in grown()) {
        if let Ok(syntax) = Syntax::parse(&text) {
            let printed = syntax.to_string();
            prop_assert_eq!(Syntax::parse(&printed), Ok(syntax));
            prop_assert_eq!(Syntax::parse(&printed).map(|again| again.to_string()), Ok(printed));
        }
    }

    /// What is turned around comes back.
    #[test]
    fn what_can_be_turned_around_comes_back(prefix in "[ -~]{0,6}", suffix in "[ -~é]{0,6}", value in "[ -~é]{1,9}") {
        let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        let text = format!("Append(Append({}, [title]), {})", quoted(&prefix), quoted(&suffix));
        let path = AttrPath::core("title");
        let expression = Expression::compile(&text, &Scim).expect("right");
        let inverse = Inverse::of(&expression, &path).expect("exact");
        let mut person = Resource::default();
        person.set(&path, json!(value));
        let Ok(Outcome::Value(written)) = expression.evaluate(Input::from(&person), &Moment::NONE) else {
            panic!("a value")
        };
        prop_assert_eq!(inverse.read(written, &path), json!(value));
    }
}
