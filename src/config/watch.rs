//! Tells when a file of the configuration has changed.
//!
//! Folders are watched, not files: editors replace a file by renaming another over it, and Kubernetes swaps a link beside
//! it. A burst of events counts once, when it has been quiet for [`QUIET`], and only if some content is different then.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use crate::types::Digest;

/// How long there must be no event before the files are looked at.
const QUIET: Duration = Duration::from_millis(200);
/// A burst that never ends is looked at in between, after this many pauses shorter than [`QUIET`].
const BURST: usize = 1000;
/// Of a file, no more than this is compared.
const FILE_LIMIT: u64 = 4 * 1024 * 1024;

/// Watches until it is dropped.
#[derive(Debug)]
pub struct Watcher {
    _events: RecommendedWatcher,
    task: JoinHandle<()>,
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Sends a unit on `notify` when the content of any of `paths` has changed; a channel that is full already holds the news.
/// The content at the time of the call is what later content is compared with. Must be called within a tokio runtime.
///
/// # Errors
/// When the system cannot watch one of the folders.
pub fn watch(paths: Vec<PathBuf>, notify: Sender<()>) -> Result<Watcher, notify::Error> {
    let names: BTreeSet<OsString> = paths.iter().filter_map(|path| path.file_name()).map(ToOwned::to_owned).collect();
    let folders: BTreeSet<PathBuf> = paths.iter().map(|path| folder(path)).collect();
    let (stir, stirred) = channel(1);
    let mut events = notify::recommended_watcher(move |event: Result<Event, notify::Error>| {
        // An error may mean that events were lost: look.
        if event.is_ok_and(|event| !concerns(&event, &names)) {
            return;
        }
        _ = stir.try_send(());
    })?;
    for folder in folders {
        events.watch(&folder, RecursiveMode::NonRecursive)?;
    }
    let known = contents(&paths);
    let task = tokio::spawn(compare(paths, known, stirred, notify));
    Ok(Watcher { _events: events, task })
}

fn folder(path: &Path) -> PathBuf {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

/// Whether an event is about a watched file. The state's database often lies in the same folder and changes all the time.
fn concerns(event: &Event, names: &BTreeSet<OsString>) -> bool {
    let named = |path: &PathBuf| {
        // Kubernetes mounts a link `..data` to a folder that it swaps.
        path.file_name().is_none_or(|name| names.contains(name) || name.as_encoded_bytes().starts_with(b".."))
    };
    !matches!(event.kind, EventKind::Access(_)) && (event.paths.is_empty() || event.paths.iter().any(named))
}

type Contents = BTreeMap<PathBuf, Digest>;

async fn compare(paths: Vec<PathBuf>, mut known: Contents, mut stirred: Receiver<()>, notify: Sender<()>) {
    while stirred.recv().await.is_some() {
        let mut pauses = 0;
        while pauses < BURST && timeout(QUIET, stirred.recv()).await.is_ok_and(|event| event.is_some()) {
            pauses += 1;
        }
        let paths = paths.clone();
        let now = spawn_blocking(move || contents(&paths)).await.unwrap_or_default();
        // A file that is away is being replaced: what it was stays in force until there is another.
        let changed = now.iter().any(|(path, digest)| known.get(path) != Some(digest));
        known.extend(now);
        if changed && notify.is_closed() {
            return;
        }
        if changed {
            _ = notify.try_send(());
        }
    }
}

/// What the readable ones of `paths` hold.
fn contents(paths: &[PathBuf]) -> Contents {
    let digest = |path: &PathBuf| {
        let mut bytes = Vec::new();
        std::fs::File::open(path).ok()?.take(FILE_LIMIT).read_to_end(&mut bytes).ok()?;
        Some(Digest::of(&bytes))
    };
    paths.iter().filter_map(|path| Some((path.clone(), digest(path)?))).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_change_of_content_is_told_however_it_is_made() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, other) = (folder.path().join("portcullis.toml"), folder.path().join("new"));
        fs::write(&file, "a").expect("written");
        let (told, mut changes) = channel(1);
        let _watcher = watch(vec![file.clone()], told).expect("watching");

        fs::write(&file, "b").expect("written");
        timeout(PATIENCE, changes.recv()).await.expect("told of a write");
        fs::write(&other, "c").expect("written");
        fs::rename(&other, &file).expect("renamed");
        timeout(PATIENCE, changes.recv()).await.expect("told of a rename");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_swapped_link_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        for (version, text) in [("..1", "a"), ("..2", "b")] {
            fs::create_dir(at(version)).expect("made");
            fs::write(at(version).join("portcullis.toml"), text).expect("written");
        }
        std::os::unix::fs::symlink("..1", at("..data")).expect("linked");
        std::os::unix::fs::symlink("..data/portcullis.toml", at("portcullis.toml")).expect("linked");
        let (told, mut changes) = channel(1);
        let _watcher = watch(vec![at("portcullis.toml")], told).expect("watching");

        std::os::unix::fs::symlink("..2", at("..data_tmp")).expect("linked");
        fs::rename(at("..data_tmp"), at("..data")).expect("renamed");
        timeout(PATIENCE, changes.recv()).await.expect("told of the swap");
    }

    #[test]
    fn neighbours_do_not_concern() {
        let names = BTreeSet::from([OsString::from("portcullis.toml")]);
        let event = |name: &str| {
            Event::new(EventKind::Modify(notify::event::ModifyKind::Any)).add_path(Path::new("/etc").join(name))
        };
        assert!(concerns(&event("portcullis.toml"), &names));
        assert!(concerns(&event("..data"), &names));
        assert!(!concerns(&event("portcullis.db-wal"), &names));
    }
}
