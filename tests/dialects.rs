//! Dialects from files: the built-in ones written as TOML are equal to themselves, what a file leaves out is its base's, and
//! mistakes are told with the file's own line.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use portcullis::config::{Config, Environment, Loaded};
use portcullis::dialect::{Dialect, OnDisable, Phone, Rule, Visibility};

fn config(dialect: &str, more: &str) -> String {
    format!("[tenants.acme]\ndialect = \"{dialect}\"\ndirectory = {{ kind = \"embedded\" }}\n{more}")
}

/// A configuration whose dialect is a file with this text, and the files that made it.
fn with_file(text: &str) -> (tempfile::TempDir, Result<Loaded, String>) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("dialects")).unwrap();
    std::fs::write(folder.path().join("dialects/acme.toml"), text).unwrap();
    let path = folder.path().join("portcullis.toml");
    std::fs::write(&path, config("dialects/acme.toml", "")).unwrap();
    let loaded = Config::load(&path, &Environment::default());
    let name = folder.path().display().to_string();
    (folder, loaded.map_err(|found| found.to_string().replace(&format!("{name}/"), "")))
}

fn dialect(text: &str) -> Arc<Dialect> {
    let (_, loaded) = with_file(text);
    Arc::clone(&loaded.unwrap_or_else(|found| panic!("\n{found}\nin\n{text}")).config.tenants["acme"].dialect)
}

#[test]
fn a_file_says_all_that_a_built_in_dialect_says() {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/portcullis.toml");
    for built_in in Dialect::all() {
        let text = config(&format!("dialects/{}.toml", built_in.name), "");
        let loaded = Config::parse(&text, &place, &Environment::default()).unwrap_or_else(|found| panic!("\n{found}"));
        assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
        assert_eq!(*loaded.config.tenants["acme"].dialect, **built_in, "{}", built_in.name);
        // And none of it comes from the base: each key that is not the plain dialect's is in the file.
        let file = std::fs::read_to_string(place.with_file_name(format!("dialects/{}.toml", built_in.name))).unwrap();
        assert!(built_in.name == "standard" || !file.lines().any(|line| line.starts_with("base")), "{}", built_in.name);
    }
}

#[test]
fn what_a_file_leaves_out_is_its_bases() {
    let own = dialect("base = \"vonage-business\"\n");
    let base = Dialect::named("vonage-business").unwrap();
    assert_eq!(*own, Dialect { name: "acme".into(), ..Dialect::clone(base) });
    let own = dialect("title = \"Acme\"\n");
    let standard = Dialect::named("standard").unwrap();
    assert_eq!(*own, Dialect { name: "acme".into(), title: "Acme".into(), ..Dialect::clone(standard) });
}

#[test]
fn rules_over_a_base_change_its_own_and_add_to_them() {
    let own = dialect(
        "base = \"vonage-contact-center\"\n\
         [[rules]]\nkind = \"phone\"\npath = 'phoneNumbers[type eq \"work\"].value'\nspaces = \"strip\"\n\
         [[rules]]\nkind = \"text\"\npath = \"userName\"\noff = true\n\
         [[rules]]\nkind = \"text\"\npath = \"displayName\"\nmax = 20\n",
    );
    let [Rule::Phone { form: Phone::Digits { min: 3, max: 20 }, strip: true, .. }, Rule::Text(text)] = &own.rules[..]
    else {
        panic!("{:?}", own.rules)
    };
    assert_eq!((text.path.to_string().as_str(), text.min, text.max), ("displayName", 1, Some(20)));
}

#[test]
fn the_file_is_watched() {
    let (folder, loaded) = with_file("base = \"playvox\"");
    let file = folder.path().join("dialects/acme.toml");
    assert!(loaded.unwrap().files.contains(&file));
    std::fs::write(&file, "bse = 1").unwrap();
    let path = folder.path().join("portcullis.toml");
    assert!(Config::load(&path, &Environment::default()).is_err());
}

#[test]
fn mistakes_are_told_with_the_files_own_line() {
    let rows = [
        ("titel = \"Acme\"", "dialects/acme.toml:1:1: `titel` is not a key of this file (did you mean `title`?)"),
        ("\nbase = \"playvx\"", "dialects/acme.toml:2:8: `playvx` is no dialect (did you mean `playvox`?)"),
        ("on_disable = \"unlnk\"", "1:14: `unlnk` is none of the words for it (did you mean `unlink`?)"),
        ("attributes = [\"userNme\"]", "1:15: `userNme` is an attribute of no schema (did you mean `userName`?)"),
        (
            "required = [\"name.givnName\"]",
            "1:13: `name.givnName` is an attribute of no schema (did you mean `givenName`?)",
        ),
        (
            "attributes = [\"userName\", \"emails.value\"]",
            "1:27: `emails.value` does not say of which type (write `emails[type eq \"work\"].value`, or `emails` for all of it)",
        ),
        (
            "attributes = [\"userName\"]\nrequired = [\"userName\", \"title\"]",
            "2:12: title is required and not offered: nobody could be created",
        ),
        ("scim_base = \"/scim/v2/\"", "1:13: `/scim/v2/` is no path (write it without slashes around it"),
        ("scim_base = \"oauth/x\"", "leads to another part of the gateway"),
        ("oauth = false\nsecret_tokens = \"none\"", "nobody could come in"),
        ("[[rules]]\nkind = \"txt\"\npath = \"userName\"", "2:8: `txt` is no kind of rule (did you mean `text`?)"),
        (
            "[[rules]]\nkind = \"text\"\npath = \"userName\"\nmn = 3",
            "4:1: `mn` is not a key of [rules[0]] (did you mean `min`?)",
        ),
        ("[[rules]]\nkind = \"text\"\npath = \"userName\"\nmin = 9\nmax = 8", "5:7: `max` is less than `min`"),
        ("[[rules]]\nkind = \"same\"\npath = \"userName\"", "`other` is missing in [rules[0]]"),
        ("[[rules]]\nkind = \"email\"\npath = \"userName\"\noff = true", "there is no email rule about userName"),
        ("[on_create]\nactve = true", "2:9: `actve` is an attribute of no schema (did you mean `active`?)"),
        ("[on_create]\nroles = \"Agent\"", "name the part that gets the value, such as `roles.value`"),
        ("[limits]\nread = { requests = 0, window = \"60s\" }", "0 is too small"),
        ("title = ", "dialects/acme.toml:1:9: this is not TOML"),
    ];
    for (text, wanted) in rows {
        let (_, loaded) = with_file(text);
        let found = loaded.map(|_| ()).expect_err(text);
        assert!(found.contains(wanted), "{text}:\n{found}\nnot {wanted}");
        assert!(found.lines().all(|line| line.starts_with("dialects/acme.toml:")), "{found}");
    }
    let absent = config("dialects/absent.toml", "");
    let found = Config::parse(&absent, &PathBuf::from("/nowhere/p.toml"), &Environment::default()).unwrap_err();
    assert!(found.to_string().starts_with("/nowhere/p.toml:2:11: cannot read the dialect"), "{found}");
}

#[test]
fn a_report_shows_the_files_own_line() {
    let (_, loaded) = with_file("titel = \"Acme\" # what people see");
    drop(loaded);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("acme.toml"), "titel = \"Acme\" # what people see").unwrap();
    let path = folder.path().join("p.toml");
    let found = Config::parse(&config("./acme.toml", "nonsense = 1\n"), &path, &Environment::default()).unwrap_err();
    let report = found.report(false);
    assert!(report.contains("titel = \"Acme\" # what people see") && report.contains("nonsense = 1"), "{report}");
}

#[test]
fn switches_choose_what_the_dialect_leaves_open() {
    let load = |dialect: &str, switches: &str| {
        let text = config(dialect, &format!("[tenants.acme.switches]\n{switches}\n"));
        Config::parse(&text, Path::new("p.toml"), &Environment::default())
    };
    let chosen = |dialect: &str, switches: &str| {
        let loaded = load(dialect, switches).unwrap_or_else(|found| panic!("\n{found}"));
        assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
        Arc::clone(&loaded.config.tenants["acme"].dialect)
    };
    // Question 12.
    assert_eq!(chosen("vonage-business", "expose_unlinked = true").visibility, Visibility::Everyone);
    assert_eq!(chosen("vonage-business", "on_disable = \"disable\"").on_disable, OnDisable::Disable);
    // Question 13.
    assert!(chosen("vonage-business", "protected_roles = []").protected.is_none());
    let protected = chosen("vonage-business", "protected_roles = [\"boss\"]").protected.clone().unwrap();
    assert_eq!((protected.attribute.to_string(), protected.values), ("roles".to_owned(), vec!["boss".to_owned()]));
    // Questions 9, 5, 14, 16, 17.
    assert!(chosen("ringcentral", "strict_email = true").copied.is_empty());
    assert!(chosen("ringcentral", "vendor_errors = true").errors.throttle_envelope);
    for (dialect, switch) in [
        ("vonage-business", "unicode = true"),
        ("vonage-business", "allow_spaces = true"),
        ("vonage-contact-center", "user_name_signs = \"._-@+\""),
        ("vonage-contact-center", "strip_phone_spaces = true"),
    ] {
        assert_ne!(chosen(dialect, switch).rules, Dialect::named(dialect).unwrap().rules, "{switch}");
    }
    // What is left alone is the built-in dialect itself.
    assert!(Arc::ptr_eq(&chosen("playvox", ""), Dialect::named("playvox").unwrap()));
    let idle = load("playvox", "unicode = true").unwrap().warnings.to_string();
    assert!(idle.contains("`unicode` turns nothing: the dialect `playvox` has no such rule"), "{idle}");
    let slip = load("playvox", "scim_enabld = false").unwrap_err().to_string();
    assert!(slip.contains("did you mean `scim_enabled`?"), "{slip}");
    let provider = load("playvox", "directory_provider = \"scm\"").unwrap_err().to_string();
    assert!(provider.contains("did you mean `scim`?"), "{provider}");
}

/// The rows of `dialects.md` §1 and §2.
const ROWS: [&str; 35] = [
    "Auth method",
    "Who may authorize",
    "OAuth endpoints",
    "Client auth at token",
    "Token lifetimes",
    "SCIM base path",
    "Attributes (exact)",
    "Dropped on purpose",
    "Required",
    "Filterable",
    "Validation",
    "Create / match",
    "userName change",
    "active:false",
    "DELETE",
    "Reactivate",
    "PATCH",
    "Groups",
    "Default active",
    "Rate limits",
    "Rate headers",
    "Error style",
    "Downstream API",
    "Mailings",
    "IdP restrictions",
    "Locked in portal",
    "Other extras",
    "Timing",
    "Existing unmanaged user, match query",
    "POST for an existing username",
    "PATCH active=false",
    "GET by id and match query after PATCH active=false",
    "GET by id and match query after DELETE",
    "Over limit",
    "Match query",
];
const VENDORS: [&str; 4] = ["ringcentral", "vonage-business", "vonage-contact-center", "playvox"];

/// Cells that no conversation shows, and the test that does. The vendor is empty where it is the same for all.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("Who may authorize", "ringcentral", "a_viewer_is_told_which_role_is_needed"),
    ("Who may authorize", "vonage-business", "administrators_are_protected_by_the_role_of_the_grant"),
    ("Who may authorize", "vonage-contact-center", "tokens_have_the_form_of_their_dialect_and_the_number_it_allows"),
    ("Who may authorize", "playvox", "tokens_have_the_form_of_their_dialect_and_the_number_it_allows"),
    ("Token lifetimes", "ringcentral", "a_refresh_token_idles_out_and_slides"),
    ("Token lifetimes", "vonage-business", "a_refresh_token_idles_out_and_slides"),
    ("Token lifetimes", "vonage-contact-center", "secret_tokens_open_the_door_of_their_dialects"),
    ("Token lifetimes", "playvox", "playvox_keys_come_as_bearer_or_basic"),
    ("Create / match", "ringcentral", "running_out_of_extensions_is_403"),
    ("Error style", "ringcentral", "a_refused_value_is_told_by_its_scim_path"),
    ("Mailings", "", "switches_are_carried_downstream_with_a_create"),
    ("Locked in portal", "", "the_portal_asks_who_is_managed"),
    ("Other extras", "ringcentral", "what_is_switched_off_says_which_switch_and_where"),
    ("Other extras", "vonage-business", "switches_are_carried_downstream_with_a_create"),
    ("Other extras", "vonage-contact-center", "a_role_and_a_team_are_given_on_create_only"),
    ("Other extras", "playvox", "a_role_and_a_team_are_given_on_create_only"),
    ("Over limit", "vonage-contact-center", "every_answer_of_a_limited_group_tells_its_limits"),
    ("Over limit", "playvox", "every_answer_of_a_limited_group_tells_its_limits"),
];

/// Rows in which a gateway has nothing to do, and why.
const NOTHING_TO_DO: [(&str, &str); 3] = [
    ("Downstream API", "the directory's connector, not the dialect"),
    ("IdP restrictions", "which identity providers the vendor supports; any may connect here"),
    ("Timing", "the identity provider's own cycle"),
];

#[test]
fn every_cell_of_the_reference_is_shown() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut shown = std::collections::BTreeSet::new();
    for file in std::fs::read_dir(root.join("tests/conversations")).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let conversation: serde_json::Value = serde_json::from_str(&text).unwrap();
        let tenant = conversation["tenant"].as_str().unwrap_or_default().to_owned();
        for step in conversation["steps"].as_array().into_iter().flatten() {
            for cell in step["cells"].as_array().into_iter().flatten() {
                let cell = cell.as_str().unwrap().to_owned();
                assert!(ROWS.contains(&cell.as_str()), "{tenant}: {cell} is no row");
                shown.insert((cell, tenant.clone()));
            }
        }
    }
    let mut sources = String::new();
    let mut folders = vec![root.join("tests"), root.join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                sources.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    for (row, vendor, test) in ELSEWHERE {
        assert!(sources.contains(&format!("fn {test}()")), "{test} is gone, which shows {row}");
        let vendors = VENDORS.iter().filter(|one| vendor.is_empty() || *one == vendor);
        shown.extend(vendors.map(|one| ((*row).to_owned(), (*one).to_owned())));
    }
    let mut missing = Vec::new();
    for row in ROWS.iter().filter(|row| NOTHING_TO_DO.iter().all(|(none, _)| none != *row)) {
        for vendor in VENDORS {
            // The match query is the same for all, and every conversation has it under another row.
            let held = *row == "Match query" && shown.contains(&("Filterable".to_owned(), vendor.to_owned()));
            if !held && !shown.contains(&((*row).to_owned(), vendor.to_owned())) {
                missing.push(format!("{row} of {vendor}"));
            }
        }
    }
    assert!(missing.is_empty(), "shown by no test:\n{}", missing.join("\n"));
}
