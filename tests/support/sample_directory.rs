//! The sample user system as a server, to try `config/examples/rest.toml` against:
//! `cargo run --example sample-directory -- 127.0.0.1:9000` (its token, if it is to insist on one, in `DIRECTORY_TOKEN`).

mod groups;
mod legacy;
mod line;
mod people;
mod scim_side;

use legacy::{Legacy, Manners};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9000".into());
    let token = std::env::var("DIRECTORY_TOKEN").ok().filter(|token| !token.is_empty());
    let listener = tokio::net::TcpListener::bind(address).await?;
    let directory = Legacy::start_on(listener, Manners { token, ..Manners::default() });
    println!("the sample directory listens: DIRECTORY_URL={}", directory.url());
    tokio::signal::ctrl_c().await
}
