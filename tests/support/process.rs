//! The gateway as its users run it: the real binary on a configuration in a folder of its own, with its log read line by line.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::gateway::Answer;

/// How long anything is waited for before the test has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What every configuration of these tests begins with: free ports, and no time lost when stopping.
pub const SERVER: &str = r#"
[server]
listen      = "127.0.0.1:0"
public_url  = "http://127.0.0.1:1"
drain_grace = "10ms"

[operations]
listen = "127.0.0.1:0"
"#;

/// A folder with a configuration, and the commands that are run on it.
pub struct Desk {
    folder: tempfile::TempDir,
    config: PathBuf,
    variables: Vec<(String, String)>,
}

impl Desk {
    /// With this text as `portcullis.toml`.
    pub fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("portcullis.toml");
        std::fs::write(&config, text).unwrap();
        Self { folder, config, variables: Vec::new() }
    }

    /// On a shipped file as it is, with the listen addresses and the state from the override variables.
    pub fn shipped(path: &str, variables: &[(&str, &str)]) -> Self {
        let mut desk = Self::new("");
        desk.config = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
        let state = format!("sqlite:{}", desk.folder.path().join("state.db").display());
        let own = [
            ("PORTCULLIS__SERVER__LISTEN", "127.0.0.1:0"),
            ("PORTCULLIS__SERVER__PUBLIC_URL", "http://127.0.0.1:1"),
            ("PORTCULLIS__SERVER__DRAIN_GRACE", "10ms"),
            ("PORTCULLIS__OPERATIONS__LISTEN", "127.0.0.1:0"),
            ("PORTCULLIS__STATE__URL", state.as_str()),
        ];
        desk.variables = own.iter().chain(variables).map(|(name, value)| ((*name).into(), (*value).into())).collect();
        desk
    }

    /// A file beside the configuration.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a file in place as editors do: whole, by renaming.
    pub fn write(&self, name: &str, text: &str) {
        let new = self.path(&format!("{name}.new"));
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.path(name)).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.args(arguments).arg("--config").arg(&self.config).env_remove("PORTCULLIS_LOG");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command to its end and gives what it printed; it must succeed.
    pub fn run(&self, arguments: &[&str], input: &str) -> String {
        let mut command = self.command(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// As [`Desk::run`], for what prints JSON.
    pub fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.run(arguments, "")).unwrap()
    }

    /// A new secret token of a tenant: its id and itself.
    pub fn token(&self, tenant: &str) -> (String, String) {
        let shown = self.json(&["token", "issue", "--tenant", tenant, "--json"]);
        (shown["id"].as_str().unwrap().to_owned(), shown["token"].as_str().unwrap().to_owned())
    }

    /// Starts the gateway and waits until it is ready.
    pub async fn serve(&self) -> Process {
        let mut child = self.command(&["serve"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Log::default());
        let streams: [Box<dyn std::io::Read + Send>; 2] =
            [Box::new(child.stderr.take().unwrap()), Box::new(child.stdout.take().unwrap())];
        for stream in streams {
            let log = Arc::clone(&log);
            std::thread::spawn(move || log.read(stream));
        }
        let unset = SocketAddr::from(([127, 0, 0, 1], 0));
        let client = Client::builder(TokioExecutor::new()).build_http();
        let mut process = Process { child, log, client, public: unset, operations: unset };
        let ready = process.line("portcullis is ready").await;
        let address = |key: &str| ready[key].as_str().unwrap().parse().unwrap();
        (process.public, process.operations) = (address("listen"), address("operations"));
        process
    }
}

/// What a process has printed so far.
#[derive(Default)]
struct Log {
    lines: Mutex<Vec<String>>,
    more: Notify,
}

impl Log {
    fn read(&self, stream: Box<dyn std::io::Read + Send>) {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            self.lines.lock().unwrap().push(line);
            self.more.notify_waiters();
        }
        self.more.notify_waiters();
    }
}

/// A gateway that runs; killed when dropped.
pub struct Process {
    child: Child,
    log: Arc<Log>,
    client: Client<HttpConnector, Full<Bytes>>,
    pub public: SocketAddr,
    pub operations: SocketAddr,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// Everything printed so far.
    pub fn log(&self) -> String {
        self.log.lines.lock().unwrap().join("\n")
    }

    /// Waits for a log line that holds `text`, and gives the newest.
    pub async fn line(&self, text: &str) -> Value {
        self.line_after(0, text).await
    }

    /// How many lines there are, for [`Process::line_after`].
    pub fn mark(&self) -> usize {
        self.log.lines.lock().unwrap().len()
    }

    /// As [`Process::line`], of the lines after `mark`.
    pub async fn line_after(&self, mark: usize, text: &str) -> Value {
        let found = async {
            loop {
                let more = self.log.more.notified();
                tokio::pin!(more);
                more.as_mut().enable();
                if let Some(line) = self.log.lines.lock().unwrap()[mark..].iter().rfind(|line| line.contains(text)) {
                    return serde_json::from_str(line).unwrap_or_else(|_| Value::String(line.clone()));
                }
                more.await;
            }
        };
        timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("no line says {text:?}:\n{}", self.log()))
    }

    /// Sends the process a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Kills the process on the spot.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for the process to end.
    pub async fn ended(mut self) -> ExitStatus {
        timeout(PATIENCE, async {
            loop {
                if let Some(status) = self.child.try_wait().unwrap() {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .unwrap_or_else(|_| panic!("the process does not end:\n{}", self.log()))
    }

    /// Sends anything.
    pub async fn send(&self, request: http::Request<Full<Bytes>>) -> Answer {
        let response = timeout(PATIENCE, self.client.request(request)).await.expect("an answer in time").unwrap();
        let (parts, body) = response.into_parts();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body: body.collect().await.unwrap().to_bytes() }
    }

    /// A request with a bearer token; `path` is whole, such as `/t/acme/scim/v2/Users`.
    pub async fn call(&self, method: &str, path: &str, token: &str, body: Option<&Value>) -> Answer {
        let mut request = http::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.public))
            .header("authorization", format!("Bearer {token}"));
        if body.is_some() {
            request = request.header("content-type", "application/scim+json");
        }
        let body = body.map(ToString::to_string).unwrap_or_default();
        self.send(request.body(Full::new(Bytes::from(body))).unwrap()).await
    }

    /// A form to the token endpoint of a tenant.
    pub async fn form(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = http::Request::post(format!("http://{}{path}", self.public))
            .header("content-type", "application/x-www-form-urlencoded");
        self.send(request.body(Full::new(Bytes::from(body))).unwrap()).await
    }

    /// What the operations listener says at `path`: status and body.
    pub async fn operation(&self, path: &str) -> (u16, String) {
        let request = http::Request::get(format!("http://{}{path}", self.operations));
        let answer = self.send(request.body(Full::default()).unwrap()).await;
        (answer.status, String::from_utf8_lossy(&answer.body).into_owned())
    }

    /// Asks again and again until the answer suits; a test fails when that takes too long.
    pub async fn until<T>(&self, what: &str, within: Duration, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
        let asked = async {
            loop {
                if let Some(answer) = ask().await {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(within, asked).await.unwrap_or_else(|_| panic!("{what} did not come:\n{}", self.log()))
    }

    /// Waits until the metrics have this line.
    pub async fn metric(&self, line: &str) {
        self.until(line, PATIENCE, async || {
            self.operation("/metrics").await.1.lines().any(|found| found == line).then_some(())
        })
        .await;
    }

    /// Writes bytes on a connection of its own and reads until the gateway closes it.
    pub async fn raw(&self, bytes: &[u8]) -> String {
        raw(self.public, bytes).await
    }
}

/// Writes bytes on a new connection and reads until the other side closes it; a reset counts as an end.
pub async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let _ = stream.write_all(bytes).await;
        read_to_end(&mut stream).await
    };
    timeout(PATIENCE, exchange).await.expect("the connection to be closed")
}

/// What comes until the connection ends, in whatever way.
pub async fn read_to_end(stream: &mut TcpStream) -> String {
    let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        read.extend_from_slice(&buffer[..length]);
    }
    String::from_utf8_lossy(&read).into_owned()
}
