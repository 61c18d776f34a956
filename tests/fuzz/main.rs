//! Hostile input by the million: a seeded driver over the entry points in `targets`, and the corpus of what was found.
//!
//! An ordinary run replays `tests/corpus/TARGET/*` and a few thousand mutations of it. `PORTCULLIS_FUZZ=1000000` makes that many
//! for each target, `PORTCULLIS_FUZZ_SEED` another stream. An input that fails is printed with its target and seed: cut it
//! down and put it into the corpus. Everything runs on a small stack, so that recursion without a bound shows.

#![expect(clippy::disallowed_methods, reason = "whether an input hangs is told by the machine's clock")]

mod targets;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use targets::{ALL, Target};

/// No input may take longer, in a build without optimisation on a busy machine.
const LONGEST: Duration = Duration::from_secs(5);
/// The longest input that is made.
const LARGEST: usize = 12 * 1024;

/// Pieces that texts of the trade are made of.
const WORDS: &[&str] = &[
    "userName",
    "emails",
    "members",
    "name",
    "givenName",
    "active",
    "manager",
    "groups",
    "meta.created",
    "$ref",
    "value",
    "type",
    "primary",
    "display",
    "roles",
    "title",
    "schemas",
    "id",
    "externalId",
    "password",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
    "urn:ietf:params:scim:schemas:core:2.0:Group:",
    " eq ",
    " ne ",
    " co ",
    " pr",
    " gt ",
    " and ",
    " or ",
    "not (",
    "(",
    ")",
    "[",
    "]",
    ".",
    ":",
    "\"",
    "\\",
    "\\u0000",
    "\\uD800",
    "true",
    "\"True\"",
    "null",
    "-1e999",
    "18446744073709551616",
    "\"2026-01-31T08:00:00Z\"",
    "{",
    "}",
    ",",
    "Operations",
    "op",
    "\"Replace\"",
    "\"add\"",
    "\"remove\"",
    "path",
    "bulkId:",
    "bulkId",
    "method",
    "\"POST\"",
    "/Users",
    "/Groups/bulkId:a",
    "data",
    "%22",
    "%",
    "+",
    "&",
    "filter=",
    "sortBy=",
    "cursor=",
    "count=",
    "\u{0}",
    "é",
    "\u{202e}",
    "🦀",
    "W/\"",
    "*",
    " ",
    "\n",
    "{\"value\": ",
    "[[[[[[[[",
    "]]]]]]]]",
    "((((((((",
    "not(not(",
    "emails[type eq \"work\"].value",
    "Join(\" \", [name.givenName], ",
    "Replace([userName], , \"(?<a>.*)@\", , \"${a}\", , )",
    "Switch([title], \"x\", ",
    "IIF([active], ",
    "FormatDateTime(",
    "DateAdd(\"yyyy\", ",
    "Coalesce(",
    "Mid(",
    "[title]",
    "&H7F",
    " & ",
    " <> ",
    ", , ",
];

/// A generator that repeats for a seed (xorshift64*).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.roll() >> 33).unwrap_or(0) % bound.max(1)
    }
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(target);
    let mut files: Vec<_> =
        fs::read_dir(&folder).expect("a corpus").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    assert!(!files.is_empty(), "no corpus for {target}");
    files.iter().map(|file| fs::read(file).expect("a file")).collect()
}

/// A known input, changed in a few places.
fn mutated(seeds: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut input = seeds[dice.below(seeds.len())].clone();
    for _ in 0..=dice.below(6) {
        let at = dice.below(input.len() + 1);
        let end = (at + dice.below(24)).min(input.len());
        match dice.below(7) {
            0 => drop(input.drain(at..end)),
            1 => drop(input.splice(at..at, WORDS[dice.below(WORDS.len())].bytes())),
            2 => drop(input.splice(at..end, WORDS[dice.below(WORDS.len())].bytes())),
            3 => {
                let piece = input[at..end].to_vec();
                let piece = piece.repeat(1 + dice.below(40));
                input.splice(at..at, piece);
            }
            4 => {
                let other = &seeds[dice.below(seeds.len())];
                let from = dice.below(other.len() + 1);
                let to = (from + dice.below(200)).min(other.len());
                input.splice(at..end, other[from..to].iter().copied());
            }
            5 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = u8::try_from(dice.below(256)).unwrap_or(0);
                }
            }
            _ => input.truncate(at),
        }
    }
    input.truncate(LARGEST);
    input
}

fn hold(target: Target, input: &[u8], origin: &str) {
    let (name, run) = target;
    let begun = Instant::now();
    let outcome = std::panic::catch_unwind(|| run(input));
    let took = begun.elapsed();
    assert!(outcome.is_ok() && took < LONGEST, "{name} ({origin}), {took:?}: {:?}", String::from_utf8_lossy(input));
}

fn drive(target: Target, count: u64, seed: u64) {
    let seeds = corpus(target.0);
    for (index, input) in seeds.iter().enumerate() {
        hold(target, input, &format!("corpus {index}"));
    }
    let mut dice = Dice(seed);
    for turn in 0..count {
        let input = mutated(&seeds, &mut dice);
        hold(target, &input, &format!("seed {seed}, turn {turn}"));
    }
}

#[test]
fn no_input_panics_hangs_or_overflows() {
    let number = |name: &str, default| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (count, seed) = (number("PORTCULLIS_FUZZ", 2000), number("PORTCULLIS_FUZZ_SEED", 0x9E37_79B9_7F4A_7C15).max(1));
    for target in ALL {
        let begun = Instant::now();
        // Half of what a thread of the server has.
        let thread = std::thread::Builder::new().name(target.0.to_owned()).stack_size(1024 * 1024);
        let driven = thread.spawn(move || drive(target, count, seed)).expect("a thread").join();
        assert!(driven.is_ok(), "{} failed; the input stands above", target.0);
        println!("{}: {count} inputs in {:.1?}", target.0, begun.elapsed());
    }
}

/// A case in a folder that no target reads would be kept for nothing.
#[test]
fn every_folder_of_the_corpus_has_its_target() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    for entry in fs::read_dir(folder).expect("the corpus") {
        let name = entry.expect("an entry").file_name();
        assert!(ALL.iter().any(|(target, _)| name == *target), "{name:?} has no target");
    }
}
