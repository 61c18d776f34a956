//! The likeliest mistakes in a configuration, and what is said about each: the place, the words, the way out.

use std::path::Path;

use portcullis::config::{Config, Environment};

/// Comes before the text of every case, so that line 1 of a case is line 4 of its file.
const TENANT: &str = "[tenants.acme]\ndialect = \"standard\"\ndirectory = { kind = \"embedded\" }\n";

/// Everything found, one line each, without the file's name; also about a configuration that may be used.
fn findings(text: &str, variables: &[(&str, &str)]) -> String {
    let environment: Environment = variables.iter().copied().collect();
    let found = match Config::parse(text, Path::new("p.toml"), &environment) {
        Ok(loaded) => loaded.warnings,
        Err(found) => {
            assert!(found.has_errors(), "refused without a reason:\n{text}");
            found
        }
    };
    found.to_string().trim_end().replace("p.toml:", "")
}

#[track_caller]
fn table(cases: &[(&str, &str)]) {
    for (text, wanted) in cases {
        assert_eq!(findings(&format!("{TENANT}{text}\n"), &[]), *wanted, "\nin\n{text}");
    }
}

#[test]
fn the_listener_and_its_address() {
    table(&[
        ("[server]\nlisen = \"127.0.0.1:1\"", "5:1: `lisen` is not a key of [server] (did you mean `listen`?)"),
        ("[server]\nlisten = 8080", "5:10: `listen` must be a string, not the number 8080 (write `listen = \"…\"`)"),
        (
            "[server]\nlisten = \":8080\"",
            "5:10: `:8080` is not an address to listen on (write the address too: \"127.0.0.1:8080\", or \"0.0.0.0:8080\" for all)",
        ),
        (
            "[server]\nlisten = \"localhost:8080\"",
            "5:10: `localhost:8080` is not an address to listen on (write \"127.0.0.1:8080\")",
        ),
        (
            "[server]\nlisten = \"127.0.0.1:0\"",
            "5:10: port 0 is any free port: no `public_url` can be made from it (name a port, or set `public_url`)",
        ),
        (
            "[server]\nlisten = \"0.0.0.0:80\"",
            "5:10: warning: there is no `public_url`: links and the token issuer will say http://127.0.0.1:80 (set `public_url` to the address that the outside uses)",
        ),
        (
            "[operations]\nlisten = \"127.0.0.1:8080\"",
            "5:10: `127.0.0.1:8080` is the public listener too (choose another port: metrics are not public)",
        ),
        ("[sever]\nlisten = \"127.0.0.1:1\"", "4:2: `sever` is not a key of this file (did you mean `server`?)"),
        (
            "[server]\nrequest_timeout = 30",
            "5:19: 30 is not a span of time: the unit is missing (write a number and its unit in quotes, such as \"30s\")",
        ),
        ("[server]\nrequest_timeout = \"0s\"", "5:19: `0s` is too short (`request_timeout` is between 10ms and 1h)"),
        (
            "[server]\nrequest_timeout = \"30 seconds\"",
            "5:19: `30 seconds` is not a span of time (write a number and one of ms, s, m, h, d, such as \"60s\")",
        ),
        ("[server]\nmax_connections = 0", "5:19: 0 is too small (`max_connections` is between 1 and 1000000)"),
        (
            "[server]\nmax_connections = 99999999999999999999",
            "5:19: `max_connections` must be a whole number, not a number beyond counting (write `max_connections = 300`)",
        ),
        (
            "[server]\nmax_connections = \"12\"",
            "5:19: `12` is not a whole number (write a number without quotes, such as 300)",
        ),
        (
            "[server]\nbody_limit = \"1MB\"",
            "5:14: `1MB` is not a size (write bytes, KiB, MiB or GiB, such as \"1MiB\")",
        ),
    ]);
}

#[test]
fn the_public_url() {
    table(&[
        (
            "[server]\npublic_url = \"scim.example.com\"",
            "5:14: `scim.example.com` is not a URL: relative URL without a base (write it like \"https://scim.example.com\")",
        ),
        (
            "[server]\npublic_url = \"https://scim.example.com/\"",
            "5:14: `https://scim.example.com/` has a path, a slash at its end, a query or a fragment (write \"https://scim.example.com\": scheme, host and port, nothing after)",
        ),
        (
            "[server]\npublic_url = \"https://ada:hunter2@scim.example.com\"",
            "5:14: `https://***********@scim.example.com` holds credentials (write \"https://scim.example.com\": scheme, host and port, nothing after)",
        ),
        (
            "[server]\npublic_url = \"ftp://scim.example.com\"",
            "5:14: `ftp://scim.example.com` is not an http or https URL (write it like \"https://scim.example.com\")",
        ),
        (
            "[server]\npublic_url = \"http://scim.example.com\"",
            "5:14: warning: http://scim.example.com sends tokens and passwords over the network in clear (use https: set `tls`, or let a proxy in front end TLS)",
        ),
        (
            "[server]\npublic_url = \"https://scim.example.com\"",
            "5:14: note: `public_url` says https and there is no `tls`: a proxy in front is taken to end TLS (without such a proxy set `tls`)",
        ),
        (
            "[server]\ntls = { certificate = \"nowhere.pem\", private_ky = \"k.pem\" }",
            "5:23: cannot read `nowhere.pem`: No such file or directory (os error 2) (name a file that the gateway may read; relative paths start at the configuration file)\n\
             5:38: `private_ky` is not a key of [server.tls] (did you mean `private_key`?)",
        ),
    ]);
}

#[test]
fn what_is_later_work_says_so() {
    table(&[
        (
            "[state]\nurl = \"postgres://ada:hunter2@db/portcullis\"",
            "5:7: `postgres://***********@db/portcullis` is PostgreSQL, which is not in this version (write \"sqlite:portcullis.db\")",
        ),
        (
            "[rate_store]\nurl = \"redis://127.0.0.1\"",
            "5:7: `redis://127.0.0.1` is Redis, which is not in this version (write \"memory:\")",
        ),
        (
            "[tenants.b]\ndialect = \"./acme.toml\"\ndirectory.kind = \"ldpa\"",
            "5:11: cannot read the dialect `./acme.toml`: No such file or directory (os error 2) (name a TOML file that the gateway may read; relative paths start at the configuration file)\n\
             6:18: `ldpa` is no kind of directory (did you mean `ldap`?)",
        ),
    ]);
}

#[test]
fn ldap_directories() {
    let head = "[tenants.b]\ndialect = \"standard\"\n[tenants.b.directory]\nkind = \"ldap\"\n";
    let people = "[tenants.b.directory.people]\nobject_classes = [\"inetOrgPerson\"]\nnaming = \"uid\"\n";
    let active = "disabled = { attribute = \"employeeType\", value = \"off\" }\n";
    let name = "attributes = { userName = \"uid\" }\n";
    for (text, wanted) in [
        (
            String::new(),
            "6:1: `url` is missing in [tenants.b.directory] (add `url = \"env:DIRECTORY_URL\"`)\n\
             6:1: `people` is missing in [tenants.b.directory] (add `[tenants.NAME.directory.people]`)",
        ),
        (
            format!("url = \"https://ldap.example\"\n{people}{name}{active}"),
            "8:7: `url`: is no address of an LDAP server: write scheme, host and perhaps port, such as \"ldaps://ldap.example.com\"",
        ),
        (
            format!(
                "url = \"ldap://ldap.example\"\nstarttls = false\nbind_dn = \"cn=a\"\nbase = \"example\"\n{people}{name}{active}"
            ),
            "6:1: `bind_password`: is missing: `bind_dn` and `bind_password` go together\n\
             9:12: `starttls`: would send passwords and people over the network in clear: write ldaps://, leave `starttls` to its default, or, if the network itself is safe, write plaintext = true\n\
             11:8: `base`: is no name such as \"ou=people,dc=example\"",
        ),
        (
            format!("url = \"ldaps://ldap.example\"\n{people}{name}"),
            "9:1: `disabled`: is missing: say how somebody is disabled (attribute and value, attribute and mask, or base)",
        ),
        (
            format!(
                "url = \"ldaps://ldap.example\"\n{people}{name}disabled = {{ attribute = \"a\", base = \"ou=b\" }}"
            ),
            "13:12: `disabled`: must hold attribute and value (perhaps enabled), attribute and mask (perhaps initial), or base",
        ),
        (
            format!(
                "url = \"ldaps://ldap.example\"\n{people}filter = \"uid=*)\"\nattributes = {{ title = \"entryUUID\" }}\n{active}"
            ),
            "11:10: `naming`: \"uid\" is neither among the attributes nor the fields\n\
             12:10: `filter`: is no LDAP filter: write it like \"(objectClass=person)\"\n\
             13:14: `userName`: is missing: name the attribute of userName\n\
             13:24: `title`: \"entryUUID\" is the server's own to fill",
        ),
    ] {
        table(&[(format!("{head}{text}").as_str(), wanted)]);
    }
}

#[test]
fn signing_in() {
    let tenant = "[tenants.b]\ndialect = \"standard\"\ndirectory.kind = \"embedded\"";
    for (sign_in, wanted) in [
        ("sign_in.kind = \"odic\"", "7:16: `odic` is no kind of sign-in (did you mean `oidc`?)"),
        (
            "sign_in = { kind = \"oidc\", issuer = \"http://id.example\", client_id = \"x\", role_claim = \"r\" }",
            "7:11: `roles` is missing in [tenants.b.sign_in] (add `roles = { super_user = [\"it-admins\"] }`)\n\
             7:37: `http://id.example` is not https (only a provider on this machine may be asked in clear)",
        ),
        (
            "[tenants.b.sign_in]\nkind = \"oidc\"\nissuer = \"https://id.example\"\nclient_id = \"x\"\nclient_secret = \"hunter2\"\n\
             role_claim = \"r\"\nscopes = [\"email\"]\nroles = { viewer = \"staff\", supr_user = \"it\" }",
            "11:17: warning: the secret `client_secret` is written in clear (give it as `env:NAME` or `file:PATH`)\n\
             13:10: `openid` is not among the scopes (add \"openid\": without it there is no ID token)\n\
             14:9: nobody could authorize (let a value give super_user or account_admin)\n\
             14:29: `supr_user` is not a key of [tenants.b.sign_in.roles] (did you mean `super_user`?)",
        ),
        (
            "sign_in = { kind = \"directory\", roles = { super_user = \"a\", viewer = \"a\" } }",
            "7:11: nothing says how the password is verified (add `rest = { url = \"https://hr.example.com\", role = \"/role\" }`, or `ldap`)\n\
             7:70: the same value gives super_user already (let each value give one role)",
        ),
        (
            "[tenants.b.sign_in]\nkind = \"directory\"\nroles.super_user = \"a\"\n[tenants.b.sign_in.rest]\nurl = \"https://hr.example.com\"\nrole = \"/r\"\n\
             call = \"GET /login?p={password}\"\nbody = '{\"u\":\"{username}\"}'\nsuccess = 99",
            "13:8: `GET /login?p={password}` has a method that carries no password (choose POST, PUT or PATCH)\n\
             14:8: `{\"u\":\"{username}\"}` holds no {password} (write JSON such as '{\"login\":\"{username}\",\"password\":\"{password}\"}')\n\
             15:11: 99 is too small (`success` is between 200 and 599)",
        ),
        (
            "[tenants.b.sign_in]\nkind = \"directory\"\nroles.super_user = \"a\"\n[tenants.b.sign_in.ldap]\nurl = \"https://ldap.example\"\n\
             bind_dn = \"cn=x\"\nfilter = \"(uid=*)\"\nbase = \"dc=example\"",
            "10:1: `bind_dn` and `bind_password` go together (write both, or neither to search anonymously)\n\
             11:7: `https://ldap.example` is no address of an LDAP server (write scheme, host and perhaps port, such as \"ldaps://ldap.example.com\")\n\
             13:10: `(uid=*)` holds no {username}: it would find everybody (write it like \"(&(objectClass=person)(uid={username}))\")",
        ),
    ] {
        let text = format!("{TENANT}{tenant}\n{sign_in}\n");
        assert_eq!(findings(&text, &[]), wanted, "\nin\n{text}");
    }
    table(&[(
        "[tenants.b]\ndialect = \"standard\"\ndirectory.kind = \"embedded\"\ncontact = \"\"",
        "7:11: `` is empty (write an address or a name, such as \"it@example.com\")",
    )]);
}

#[test]
fn tenants() {
    table(&[
        (
            "[tenants.Acme]\ndialect = \"standard\"\ndirectory.kind = \"embedded\"",
            "4:10: `Acme` is no name for a tenant (use lower-case letters, digits and `-`, at most 63, beginning with a letter or digit)",
        ),
        (
            "[tenants.b]\ndialect = \"standard\"",
            "4:1: `directory` is missing in [tenants.b] (add `directory = { kind = \"embedded\" }`)",
        ),
        (
            "[tenants.b]\ndirectory.kind = \"embedded\"",
            "4:1: `dialect` is missing in [tenants.b] (add `dialect = \"standard\"`)",
        ),
        (
            "[tenants.b]\ndialect = \"ringcentrall\"\ndirectory.kind = \"embeded\"",
            "5:11: `ringcentrall` is no dialect (did you mean `ringcentral`?)\n\
             6:18: `embeded` is no kind of directory (did you mean `embedded`?)",
        ),
        (
            "[tenants.b]\ndialect = \"standard\"\ndirectory = { knd = \"embedded\", path = \"p.db\" }",
            "6:15: `knd` is not a key of [tenants.b.directory] (did you mean `kind`?)",
        ),
        (
            "[tenants.b]\ndialect = \"standard\"\ndirectory = { kind = \"embedded\", path = \"portcullis.db\" }",
            "6:41: `portcullis.db` holds the gateway's own state (name another file, or leave `path` out)",
        ),
        (
            "[tenants.b]\ndialect = \"standard\"\ndirectory.kind = \"embedded\"\nhosts = \"b.example.com\"",
            "7:9: `b.example.com` is not a list (write it as [\"…\", \"…\"])",
        ),
        (
            "[tenants.b]\ndialect = \"standard\"\ndirectory.kind = \"embedded\"\nhosts = [\"B.example.com\", \"https://b.example.com/\", \"127.0.0.1:8080\"]",
            "7:10: `B.example.com` is not a host name in lower case (write \"b.example.com\")\n\
             7:27: `https://b.example.com/` is not a host name in lower case (write \"b.example.com\")\n\
             7:53: `127.0.0.1:8080` is the host of `public_url` (give the tenant a host name of its own)",
        ),
        (
            "[tenants.b]\ndialect = \"standard\"\ndirectory.kind = \"embedded\"\nhosts = [\"x.example\"]\n\
             [tenants.c]\ndialect = \"standard\"\ndirectory.kind = \"embedded\"\nhosts = [\"x.example\"]",
            "11:10: `x.example` belongs to the tenant `b` already (a host leads to one tenant)",
        ),
        (
            "[tenants.b]\ndialect = \"standard\"\ndirectory = { kind = \"embedded\", path = \"c.directory.db\" }\n\
             [tenants.c]\ndialect = \"standard\"\ndirectory.kind = \"embedded\"\n\
             [tenants.d]\ndialect = \"standard\"\ndirectory = { kind = \"embedded\", path = \"./c.directory.db\" }",
            "9:1: `c.directory.db` holds the people of the tenant `b` (give each tenant a file of its own with `path`: in one, they would see each other's people)\n\
             12:41: `./c.directory.db` holds the people of the tenant `b` (give each tenant a file of its own with `path`: in one, they would see each other's people)",
        ),
    ]);
    assert_eq!(findings("", &[]), "1:1: `tenants` is missing (add `[tenants.NAME]`)");
    assert_eq!(
        findings("\n[tenants]\n", &[]),
        "2:1: there is no tenant (add a section [tenants.NAME] with a `dialect` and a `directory`)"
    );
}

/// `[tenants.acme.doors]`: whom to trust, pinned so that a slip lets nobody in.
#[test]
fn doors() {
    const ID: &str = "00000000-0000-0000-0000-000000000000";
    let federation = |text: &str| format!("{TENANT}[tenants.acme.doors.federation.c1]\n{text}\n");
    let good = format!("tenant_id = \"{ID}\"\naudience = \"api://x\"\nsubject = \"s\"");
    assert_eq!(findings(&federation(&good), &[]), "");
    for (text, wanted) in [
        (
            "audience = \"a\"\nsubject = \"s\"",
            "4:1: `issuer` is missing in [tenants.acme.doors.federation.c1] (add `issuer = \"https://login.microsoftonline.com/TENANT/v2.0\"`)",
        ),
        (
            "tenant_id = \"contoso.com\"\naudience = \"a\"\nsubject = \"s\"",
            "5:13: `contoso.com` is not the id of an Entra tenant (write the Directory (tenant) ID, such as \"00000000-0000-0000-0000-000000000000\")",
        ),
        (
            "issuer = \"https://idp.example.com\"\naudience = \"a\"\nsubject = \"s\"",
            "4:1: keys may not be fetched from `idp.example.com` (if it is to be trusted, add \"idp.example.com\" to `key_hosts`)",
        ),
    ] {
        assert_eq!(findings(&federation(text), &[]), wanted, "{text}");
    }
    for (line, words) in [
        ("algorithms = [\"HS256\"]", "is no algorithm to trust"),
        ("algorithms = [\"none\"]", "is no algorithm to trust"),
        ("algorithms = []", "no algorithm is trusted"),
        ("keys_url = \"http://login.microsoftonline.com/keys\"", "keys are fetched by https only"),
        ("keys_url = \"https://evil@login.microsoftonline.com/keys\"", "it holds credentials"),
        ("keys_url = \"https://login.microsoftonline.com.evil.example/keys\"", "keys may not be fetched from"),
        ("keys = \"{}\"", "is not a JWK Set"),
        ("max_lifetime = \"25h\"", "is too long"),
        ("max_livetime = \"1h\"", "did you mean `max_lifetime`?"),
    ] {
        let found = findings(&federation(&format!("{good}\n{line}")), &[]);
        assert!(found.contains(words), "{line}: {found}");
    }
    for (text, words) in [
        ("client_credentials_ttl = \"59m\"", "between 1h and 6h"),
        ("client_credentials_ttl = \"7h\"", "between 1h and 6h"),
        ("key_hosts = [\"https://login.microsoftonline.com\"]", "is not a host name"),
        ("private_key_jwt = { c1 = {} }", "`keys` is missing in [tenants.acme.doors.private_key_jwt.c1]"),
        ("entra_tokens = {}", "`tenant_id` is missing"),
        (
            "entra_tokens = { tenant_id = \"00000000-0000-0000-0000-000000000000\" }",
            "warning: any application of that Entra tenant",
        ),
    ] {
        let found = findings(&format!("{TENANT}[tenants.acme.doors]\n{text}\n"), &[]);
        assert!(found.contains(words), "{text}: {found}");
    }
}

#[test]
fn limits() {
    table(&[
        (
            "[tenants.acme.limits]\nread = { requests = 0, window = \"60s\" }\nwrite = { requests = 5, window = \"0s\" }",
            "5:21: 0 is too small (`requests` is between 1 and 1000000)\n\
             6:34: `0s` is too short (`window` is between 1s and 1d)",
        ),
        (
            "[tenants.acme.limits]\nread = 300\nwrite = { request = 5 }\nshadow = \"yes\"",
            "5:8: `read` must be a table, not the number 300 (write `read = { … }`)\n\
             6:9: `window` is missing in [tenants.acme.limits.write] (add `window = \"60s\"`)\n\
             6:11: `request` is not a key of [tenants.acme.limits.write] (did you mean `requests`?)\n\
             7:10: `yes` is neither true nor false (write true or false, without quotes)",
        ),
        (
            "[tenants.acme.limits]\nread = { requests = 300, window = \"1500ms\" }\npenalty = { duration = \"60\" }",
            "5:35: `1500ms` is not a whole number of seconds (write whole seconds: X-Rate-Limit-Window counts in them)\n\
             6:24: `60` is not a span of time (write a number and one of ms, s, m, h, d, such as \"60s\")",
        ),
        (
            "limits = \"unlimited\"",
            "4:10: `unlimited` is neither \"none\" nor a table (write \"none\", or `{ read = { requests = 300, window = \"60s\" } }`)",
        ),
    ]);
}

#[test]
fn references() {
    table(&[
        (
            "[server]\ndrain = \"file:nowhere\"",
            "5:9: cannot read `nowhere`: No such file or directory (os error 2) (make it readable to the gateway; relative paths start at the configuration file)",
        ),
        (
            "[server]\ndrain = \"env:DRAIN\"",
            "5:9: the environment variable `DRAIN` is not set (set DRAIN in the gateway's environment, or write the value here)",
        ),
    ]);
    assert_eq!(
        findings(&format!("{TENANT}[server]\ndrain = \"env:DRAIN\"\n"), &[("DRAIN", "soon")]),
        "5:9: `soon` (from DRAIN) is not a span of time (write a number and one of ms, s, m, h, d, such as \"60s\")"
    );
}

const REST: &str = r#"[tenants.acme]
dialect = "standard"
[tenants.acme.directory]
kind = "rest"
url = "http://127.0.0.1:9000"
token = "hunter2"
[tenants.acme.directory.operations]
read = "GET /users/{id}"
create = "POST /users"
update = "PATCH /users/{id}"
delete = "DELETE /users/{id}"
list = "GET /users?offset={offset}&limit={limit}"
[tenants.acme.directory.find]
userName = "GET /users?username={value}"
[tenants.acme.directory.attributes]
userName = "username"
active = { field = "enabled", kind = "boolean" }
"#;

#[test]
fn the_keys_and_the_master_key() {
    const WAY: &str =
        "(give it as `env:NAME` or `file:PATH`; `portcullis keys master` or `openssl rand -base64 32` makes one)";
    table(&[
        ("[keys]\nalgorithm = \"HS256\"", "5:13: `HS256` is no algorithm that is offered (did you mean `ES256`?)"),
        (
            "[keys]\nalgorithm = \"RS256\"",
            "5:13: note: access tokens signed with RS256 are 256 characters longer than others (Entra's government clouds give all secrets of a connection 1 KB together; EdDSA or ES256 leave room)",
        ),
        ("[keys]\nalgorithm = \"ES256\"", ""),
        ("refresh_idle = \"1h\"", "4:16: `1h` is too short (`refresh_idle` is between 1d and 365d)"),
        (
            "refresh_limit = \"never\"",
            "4:17: `never` is not a span of time (write a number and one of ms, s, m, h, d, such as \"60s\")",
        ),
        ("refresh_limit = \"none\"", ""),
    ]);
    let clear = "hunter2hunter2hunter2hunter2hunter2hunter2hu";
    let said = findings(&format!("{TENANT}[keys]\nmaster_key = \"{clear}\"\n"), &[]);
    let wanted = "5:14: the master key is written in clear in the file that it protects the state from";
    assert_eq!(said, format!("{wanted} {WAY}"));
    let text = format!("{TENANT}[keys]\nmaster_key = \"env:MASTER\"\n");
    for (master, wanted) in [
        ("too short", format!("5:14: `master_key` is not 32 bytes in base64 or hexadecimal digits {WAY}")),
        (&"0f".repeat(32), String::new()),
        ("ABEiM0RVZneImaq7zN3u/wARIjNEVWZ3iJmqu8zd7v8=", String::new()),
    ] {
        assert_eq!(findings(&text, &[("MASTER", master)]), wanted, "{master}");
    }
    assert!(findings(&text, &[]).contains("the environment variable `MASTER` is not set"));
    assert_eq!(findings(TENANT, &[("PORTCULLIS__KEYS__MASTER_KEY", &"0f".repeat(32))]), "", "a variable is no file");
}

#[test]
fn a_declared_directory() {
    let clear = "6:9: warning: the secret `token` is written in clear (give it as `env:NAME` or `file:PATH`)";
    assert_eq!(findings(REST, &[]), clear);
    for (from, to, wanted) in [
        (
            "http://127.0.0.1:9000",
            "127.0.0.1:9000",
            "5:7: `url`: is not an address such as https://hr.example.com/api: relative URL without a base",
        ),
        (
            "\"http://127.0.0.1:9000\"",
            "\"env:DIRECTORY_URL\"",
            "5:7: the environment variable `DIRECTORY_URL` is not set (set DIRECTORY_URL in the gateway's environment, or write the value here)",
        ),
        (
            "http://",
            "http://a:hunter2@",
            "5:7: `url`: must not hold a user name or password; give a bearer token in token",
        ),
        ("\"env:TOKEN\"", "[1]", "6:9: `token` must be a string, not a list (write it in quotes)"),
        ("\"env:TOKEN\"", "12345", "6:9: `token` must be a string, not a number (write it in quotes)"),
        (
            "read = \"GET",
            "red = \"GET",
            "8:1: `red` is not a key of [tenants.acme.directory.operations] (did you mean `read`?)",
        ),
        (
            "list = ",
            "# list = ",
            "7:1: `list` is missing in [tenants.acme.directory.operations] (add `list = \"GET /users?offset={offset}&limit={limit}\"`)",
        ),
        ("GET /users/{id}", "FETCH /users", "8:8: `read`: \"FETCH\" is none of GET, POST, PUT, PATCH, DELETE"),
        (
            "{ field = \"enabled\"",
            "{ feild = \"enabled\"",
            "17:12: `feild` is not a key of [tenants.acme.directory.attributes.active] (did you mean `field`?)",
        ),
        ("active = ", "actve = ", "15:1: `active`: must be mapped: nobody can be found or disabled without it"),
        (
            "\"rest\"",
            "\"rest\"\npage_sise = 3\nremoval = \"no\"\ntimeout = \"1h\"",
            "5:1: `page_sise` is not a key of [tenants.acme.directory] (did you mean `page_size`?)\n\
             6:11: `removal`: \"no\" is none of \"null\", \"empty\", \"replace\"\n\
             7:11: `1h` is too long (`timeout` is between 1ms and 5m)",
        ),
    ] {
        let text = REST.replace("\"hunter2\"", "\"env:TOKEN\"").replacen(from, to, 1);
        assert_eq!(findings(&text, &[]), wanted, "\nin\n{text}");
    }
}

#[test]
fn overriding_variables() {
    for (variable, value, wanted) in [
        ("PORTCULLIS__SERVER__LISTN", "x", "overrides no key (did you mean `PORTCULLIS__SERVER__LISTEN`?)"),
        (
            "PORTCULLIS__SERVER__LISTEN",
            "x",
            "`x` is not an address to listen on (write an IP address and a port, such as \"127.0.0.1:8080\" or \"[::1]:8080\")",
        ),
        (
            "PORTCULLIS__SERVER__LISTEN__PORT",
            "1",
            "overrides no key (no key of this version has that path; `__` separates its parts)",
        ),
        ("PORTCULLIS__TENANTS__ACNE__HOSTS", "x", "there is no tenant `acne` (did you mean the tenant `acme`?)"),
        (
            "PORTCULLIS__TENANTS__ACME__DIRECTORY__URL",
            "http://127.0.0.1",
            "overrides no key (the last part may be `DURABLE`, `KIND`, `PATH` or `TIMEOUT`)",
        ),
        (
            "PORTCULLIS__SERVER__TLS",
            "on",
            "does not name a single value: the key is a table (add `__` and the name of a key in it)",
        ),
        (
            "PORTCULLIS__",
            "",
            "overrides no key (the last part may be `KEYS`, `OPERATIONS`, `RATE_STORE`, `SCHEMAS`, `SERVER`, `STATE` or `TENANTS`)",
        ),
    ] {
        assert_eq!(findings(TENANT, &[(variable, value)]), format!("{variable}: {wanted}"));
    }
    assert_eq!(
        findings(TENANT, &[("PORTCULLIS__SERVER__DRAIN", "1s"), ("portcullis__server__drain", "2s")]),
        "portcullis__server__drain: sets the same key as `PORTCULLIS__SERVER__DRAIN` (unset one of them)"
    );
}

#[test]
fn what_is_not_toml() {
    table(&[
        (
            "[server]\nlisten = \"127.0.0.1:1",
            "5:22: this is not TOML: invalid basic string, expected `\"` (see https://toml.io)",
        ),
        (
            "[server]\ntls = { certificate = \"a\" \"b\" }",
            "5:27: this is not TOML: missing comma between key-value pairs, expected `,` (see https://toml.io)",
        ),
        ("[tenants.acme]", "4:10: this is not TOML: duplicate key (see https://toml.io)"),
        (
            "[server]\nlisten = \"\0\"",
            "5:11: this is not TOML: invalid basic string, expected non-double-quote visible characters, `\\` (see https://toml.io)",
        ),
    ]);
    let deep = format!("x = {}1{}", "[".repeat(5000), "]".repeat(5000));
    assert!(findings(&deep, &[]).contains("max recursion depth"), "{}", findings(&deep, &[]));
}

#[test]
fn files() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("p.toml");
    let load = |bytes: &[u8]| {
        std::fs::write(&path, bytes).expect("written");
        let found = Config::load(&path, &Environment::default()).expect_err("a mistake");
        found.to_string().replace(&path.display().to_string(), "p.toml")
    };
    assert_eq!(load(b"[server]\n# caf\xe9\n"), "p.toml:2:6: this is not UTF-8 (save the file as UTF-8)\n");
    assert!(load(&vec![b'#'; 5 << 20]).starts_with("p.toml: is larger than 4 MiB"));
    let missing = Config::load(&folder.path().join("q.toml"), &Environment::default()).expect_err("a mistake");
    assert!(missing.to_string().contains("q.toml: cannot be read: No such file"), "{missing}");
}
