//! A real OpenLDAP server of a test's own, with the tree of `config/examples/ldap.ldif`. Where `slapd` is not installed, the
//! tests leave it out and say so (`tests/run` installs it).

#![allow(dead_code, reason = "every test uses its own part")]
#![expect(clippy::unwrap_used, reason = "test support: a failure here is the test's")]

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ldap3::LdapConnAsync;
use portcullis::directory::ldap::config::{Draft, DraftDisabled, DraftEntity, DraftMembers};
use portcullis::directory::ldap::{Config, Ldap};
use portcullis::directory::rest::Attribute;
use portcullis::types::{Clock, Random, Secret};

pub const BASE: &str = "dc=example,dc=test";
pub const ROOT: &str = "cn=admin,dc=example,dc=test";
pub const PASSWORD: &str = "secret";
const LDIF: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/examples/ldap.ldif");

/// A server; it ends when dropped.
pub struct Slapd {
    process: Child,
    listens: String,
    pub address: SocketAddr,
    pub tls_address: Option<SocketAddr>,
    folder: tempfile::TempDir,
}

impl Drop for Slapd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Slapd {
    /// One in clear; `None`, and a line that says so, where there is none.
    pub async fn start() -> Option<Self> {
        Self::start_with(None).await
    }

    /// One with a certificate and its key, which then also speaks TLS.
    pub async fn start_with(tls: Option<(&Path, &Path)>) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        std::fs::create_dir(path.join("db")).unwrap();
        let place = path.display();
        let tls_lines = tls.map_or_else(String::new, |(certificate, key)| {
            format!("TLSCertificateFile {}\nTLSCertificateKeyFile {}\n", certificate.display(), key.display())
        });
        let config = format!(
            "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n\
             include /etc/ldap/schema/inetorgperson.schema\npidfile {place}/pid\nmodulepath /usr/lib/ldap\n\
             moduleload back_mdb\nmoduleload unique\n{tls_lines}sizelimit 500\ndatabase mdb\nsuffix \"{BASE}\"\n\
             rootdn \"{ROOT}\"\nrootpw {PASSWORD}\ndirectory {place}/db\nmaxsize 67108864\ndbnosync\n\
             index objectClass,uid,mail,cn,member,uniqueMember,employeeNumber,entryUUID eq\n\
             overlay unique\nunique_uri ldap:///?uid?sub\n"
        );
        let file = path.join("slapd.conf");
        std::fs::write(&file, config).unwrap();
        let filled = Command::new("slapadd").arg("-f").arg(&file).args(["-l", LDIF]).stderr(Stdio::null()).status();
        let Ok(filled) = filled else {
            println!("an LDAP server is left out: slapd is not installed (tests/run installs it)");
            return None;
        };
        assert!(filled.success(), "slapadd takes the shipped file");
        // Free ports; slapd takes no port 0.
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (address, tls_address) = (free(), tls.map(|_| free()));
        let secure = tls_address.map(|address| format!(" ldaps://{address}")).unwrap_or_default();
        let listens = format!("ldap://{address}{secure}");
        let process = spawn(&listens, &file);
        let slapd = Self { process, listens, address, tls_address, folder };
        slapd.connection().await;
        Some(slapd)
    }

    /// The same server, ended and begun anew.
    pub async fn restart(mut self) -> Self {
        let _ = self.process.kill();
        let _ = self.process.wait();
        self.process = spawn(&self.listens, &self.folder.path().join("slapd.conf"));
        self.connection().await;
        self
    }

    /// Waits until it answers, and gives a connection that may do everything.
    pub async fn connection(&self) -> ldap3::Ldap {
        let mut tries = 0;
        let (connection, mut ldap) = loop {
            match LdapConnAsync::new(&self.url()).await {
                Ok(open) => break open,
                Err(error) if tries > 400 => panic!("slapd does not answer: {error}"),
                Err(_) => tokio::time::sleep(Duration::from_millis(25)).await,
            }
            tries += 1;
        };
        tokio::spawn(connection.drive());
        ldap.simple_bind(ROOT, PASSWORD).await.unwrap().success().unwrap();
        ldap
    }

    /// In clear.
    pub fn url(&self) -> String {
        format!("ldap://{}", self.address)
    }

    /// The declaration of `config/examples/ldap.toml`.
    pub fn draft(&self) -> Draft {
        let people = DraftEntity {
            base: "ou=people".into(),
            object_classes: vec!["inetOrgPerson".into()],
            key: "entryUUID".into(),
            version: Some("entryCSN".into()),
            naming: "uid".into(),
            attributes: attributes(&[
                ("userName", "uid"),
                ("externalId", "employeeNumber"),
                ("name.givenName", "givenName"),
                ("name.familyName", "sn"),
                ("displayName", "displayName"),
                ("emails[type eq \"work\"].value", "mail"),
                ("phoneNumbers[type eq \"work\"].value", "telephoneNumber"),
            ]),
            fields: vec![written("cn", "[userName]")],
            ..DraftEntity::default()
        };
        let groups = DraftEntity {
            base: "ou=groups".into(),
            object_classes: vec!["groupOfNames".into()],
            key: "entryUUID".into(),
            version: Some("entryCSN".into()),
            naming: "cn".into(),
            attributes: attributes(&[("displayName", "cn"), ("externalId", "businessCategory")]),
            ..DraftEntity::default()
        };
        let disabled = DraftDisabled {
            attribute: Some("employeeType".into()),
            value: Some("disabled".into()),
            ..DraftDisabled::default()
        };
        Draft {
            url: self.url(),
            bind_dn: Some(ROOT.into()),
            bind_password: Some(Secret::new(PASSWORD)),
            base: BASE.into(),
            timeout: Duration::from_secs(10),
            max_connections: 4,
            page_size: 5,
            people,
            disabled: Some(disabled),
            groups: Some((groups, DraftMembers { member: "member".into(), placeholder: None, refint: false })),
            ..Draft::default()
        }
    }

    /// The connector over a declaration.
    pub fn directory(draft: Draft) -> Ldap {
        let config = Config::new(draft).map_err(|mistakes| format!("{mistakes:?}")).unwrap();
        Ldap::new(config, Clock::system(), Random::system()).unwrap()
    }
}

fn spawn(listens: &str, file: &Path) -> Child {
    Command::new("slapd").args(["-d", "0", "-h", listens, "-f"]).arg(file).stderr(Stdio::null()).spawn().unwrap()
}

fn attributes(pairs: &[(&str, &str)]) -> Vec<(String, Attribute)> {
    let line = |(path, field): &(&str, &str)| {
        ((*path).to_owned(), Attribute { field: (*field).to_owned(), ..Attribute::default() })
    };
    pairs.iter().map(line).collect()
}

/// A field that is only written.
pub fn written(field: &str, expression: &str) -> (String, Attribute) {
    (field.to_owned(), Attribute { write: Some(expression.to_owned()), ..Attribute::default() })
}

/// What a declaration is called in messages, and how it differs from the shipped one.
pub type Variant = (&'static str, fn(Draft) -> Draft);

/// Several shapes of one directory.
pub const VARIANTS: &[Variant] = &[
    ("ldap", |draft| draft),
    ("ldap, named by what never changes, disabled by where they are, unique by an overlay", |mut draft| {
        draft.people.naming = "cn".into();
        draft.people.base = "ou=people".into();
        let (field, line) = written("cn", "RandomString(20, 2, 2, 2, 0)");
        draft.people.fields = vec![(field, Attribute { apply: Some("create".into()), ..line })];
        draft.disabled = Some(DraftDisabled { base: Some("ou=groups".into()), ..DraftDisabled::default() });
        if let Some((groups, members)) = &mut draft.groups {
            groups.object_classes = vec!["groupOfUniqueNames".into()];
            members.member = "uniqueMember".into();
            members.placeholder = Some("cn=nobody".into());
        }
        draft
    }),
    ("ldap, disabled by a bit", |mut draft| {
        draft.disabled = Some(DraftDisabled {
            attribute: Some("departmentNumber".into()),
            mask: Some(2),
            initial: Some(512),
            ..DraftDisabled::default()
        });
        draft
    }),
];
