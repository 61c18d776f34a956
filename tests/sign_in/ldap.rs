//! Passwords that an LDAP server verifies: a real slapd. Plain `cargo test` leaves it out and says so; `tests/run` installs it.

use std::net::SocketAddr;
use std::process::{Child, Command};
use std::time::Duration;

use ldap3::LdapConnAsync;
use portcullis::config::sign_in::{Ldap, Verifier};
use portcullis::oauth::Role;
use portcullis::types::Secret;

use crate::directory::gateway;
use crate::support::gateway::TestGateway;
use crate::visitor::{TENANT, Visitor, text};

const BASE: &str = "dc=example,dc=test";
const ROOT: &str = "cn=root,dc=example,dc=test";
const PASSWORD: &str = "correct horse battery";

/// A server with `ada` (an administrator), `carl` (a clerk) and two people called `twin`.
struct Slapd {
    process: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Drop for Slapd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Slapd {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        std::fs::create_dir(path.join("db")).unwrap();
        // A free port; slapd takes no port 0.
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let place = path.display();
        let config = format!(
            "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n\
             include /etc/ldap/schema/inetorgperson.schema\npidfile {place}/pid\nmodulepath /usr/lib/ldap\n\
             moduleload back_mdb\ndatabase mdb\nsuffix \"{BASE}\"\nrootdn \"{ROOT}\"\nrootpw secret\n\
             directory {place}/db\nmaxsize 16777216\n\
             access to attrs=userPassword by anonymous auth by * none\naccess to * by dn.exact=\"{ROOT}\" read by * none\n"
        );
        std::fs::write(path.join("slapd.conf"), config).unwrap();
        let process = Command::new("slapd")
            .args(["-d", "0", "-h", &format!("ldap://{address}"), "-f"])
            .arg(path.join("slapd.conf"))
            .spawn()
            .expect("slapd is there");
        let slapd = Self { process, address, _folder: folder };
        slapd.fill().await;
        slapd
    }

    async fn fill(&self) {
        let url = format!("ldap://{}", self.address);
        let mut tries = 0;
        let (connection, mut ldap) = loop {
            match LdapConnAsync::new(&url).await {
                Ok(open) => break open,
                Err(error) if tries > 200 => panic!("slapd does not answer: {error}"),
                Err(_) => tokio::time::sleep(Duration::from_millis(25)).await,
            }
            tries += 1;
        };
        tokio::spawn(connection.drive());
        ldap.simple_bind(ROOT, "secret").await.unwrap().success().unwrap();
        let set = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
        let root = vec![("objectClass".to_owned(), set(&["dcObject", "organization"])), ("o".to_owned(), set(&["x"]))];
        ldap.add(BASE, root).await.unwrap().success().unwrap();
        for (cn, uid, kind) in [
            ("ada", "ada", "admin"),
            ("carl", "carl", "clerk"),
            ("twin 1", "twin", "admin"),
            ("twin 2", "twin", "admin"),
        ] {
            let person = [
                ("objectClass", set(&["inetOrgPerson"])),
                ("sn", set(&["x"])),
                ("uid", set(&[uid])),
                ("employeeType", set(&[kind, "other"])),
                ("userPassword", set(&[PASSWORD])),
            ];
            let person = person.map(|(name, values)| (name.to_owned(), values)).to_vec();
            ldap.add(&format!("cn={cn},{BASE}"), person).await.unwrap().success().unwrap();
        }
        ldap.unbind().await.unwrap();
    }

    fn verifier(&self, password: &str) -> Verifier {
        Verifier::Ldap(Ldap {
            url: format!("ldap://{}", self.address),
            bind: Some((ROOT.to_owned(), Secret::new(password))),
            base: BASE.to_owned(),
            filter: "(&(objectClass=person)(uid={username}))".to_owned(),
            subject: "entryUUID".to_owned(),
            role: "employeetype".to_owned(),
            in_clear: true,
        })
    }

    async fn gateway(&self) -> TestGateway {
        gateway(self.verifier("secret"), Duration::from_secs(5)).await
    }
}

#[tokio::test]
#[ignore = "needs slapd: tests/run installs it and runs it"]
async fn the_server_verifies_the_password() {
    let slapd = Slapd::start().await;
    let gateway = slapd.gateway().await;
    let page = Visitor::sent(&gateway, &[]).sign_in("ada", PASSWORD).await;
    assert!(text(&page).contains("Access Request"), "{}", text(&page));
    let page = Visitor::sent(&gateway, &[]).sign_in("ADA", PASSWORD).await;
    assert!(text(&page).contains("Access Request"), "names have no case there");
    let known = gateway.gateway.store.administrators(TENANT).await.unwrap();
    assert_eq!((known.len(), known[0].role), (1, Role::SuperUser), "one person, by entryUUID");
    let page = Visitor::sent(&gateway, &[]).sign_in("carl", PASSWORD).await;
    assert!(text(&page).contains("Your role cannot authorize"), "{}", text(&page));

    let mut visitor = Visitor::sent(&gateway, &[]);
    visitor.open().await;
    // Filters, distinguished names and the anonymous bind have nothing to work on.
    for (name, password) in [
        ("ada", "not it"),
        ("nobody", PASSWORD),
        ("*", PASSWORD),
        ("ada)(uid=*", PASSWORD),
        ("a*", PASSWORD),
        ("cn=ada,dc=example,dc=test", PASSWORD),
        ("ada", ""),
        ("ada\0", PASSWORD),
    ] {
        let answer = visitor.guess(name, password).await;
        assert_eq!(answer.status, 403, "{name:?}: {}", text(&answer));
        assert!(text(&answer).contains("is not right"), "{name:?}");
    }
    assert_eq!(visitor.guess("twin", PASSWORD).await.status, 503, "two entries are nobody");
}

#[tokio::test]
#[ignore = "needs slapd: tests/run installs it and runs it"]
async fn a_server_out_of_order_says_neither_yes_nor_no() {
    let slapd = Slapd::start().await;
    let gateway_with_wrong_password = gateway(slapd.verifier("wrong"), Duration::from_secs(5)).await;
    let gateway = gateway(slapd.verifier("secret"), Duration::from_secs(5)).await;
    let refused = async |gateway: &TestGateway, what: &str| {
        let mut visitor = Visitor::sent(gateway, &[]);
        visitor.open().await;
        let answer = visitor.guess("ada", PASSWORD).await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")), "{what}: {}", text(&answer));
    };
    refused(&gateway_with_wrong_password, "our own bind is refused").await;
    drop(slapd);
    refused(&gateway, "nobody listens").await;
}
