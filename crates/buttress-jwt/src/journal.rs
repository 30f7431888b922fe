//! Revocations in a file, so that a restart does not forget them: for one process that has no Redis.
//!
//! The file is a list of records, each with a checksum. What was torn off at its end by a crash was never acknowledged, and is cut
//! away; what is broken in the middle is an error at start, because something that was acknowledged is missing.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::replica::Replica;
use crate::revocation::{Entry, LENGTH};

/// The file, open for appending.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    /// Records in it.
    records: usize,
    /// A write has failed, so that nobody knows how the file ends.
    is_damaged: bool,
    /// Held as long as this is: two who write would write past each other.
    _lock: File,
}

/// So that a file of something else is not overwritten.
const MAGIC: &[u8; 8] = b"revoked1";
const CHECKSUM: usize = 8;
const RECORD: usize = LENGTH + CHECKSUM;
/// A file is rewritten when it has so many records, and twice as many as matter.
const WORTH_REWRITING: usize = 10_000;

// === impl Journal ===

impl Journal {
    /// Opens the file, or makes it, and takes in what still matters.
    pub(crate) fn open(path: &Path, replica: &Replica, now: u64) -> std::io::Result<Self> {
        let lock = lock(path)?;
        let mut bytes = Vec::new();
        match File::open(path) {
            Ok(mut file) => drop(file.read_to_end(&mut bytes)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        for entry in read(&bytes)? {
            if entry.until > now {
                replica.add(&entry);
            }
        }
        let (file, records) = rewritten(path, replica)?;
        Ok(Self { path: path.to_owned(), file, records, is_damaged: false, _lock: lock })
    }

    /// Appends entries; they are on the disk when this returns.
    pub(crate) fn append(&mut self, entry: &Entry, replica: &Replica) -> std::io::Result<()> {
        let is_worth_it = self.records > WORTH_REWRITING && self.records > 2 * replica.len();
        if is_worth_it || self.is_damaged {
            (self.file, self.records) = rewritten(&self.path, replica)?; // with the entry, which is known by now
            self.is_damaged = false;
            return Ok(());
        }
        // What is written in part must not stand in the middle; and after a failed sync, what was written before may be gone as well.
        self.is_damaged = true;
        self.file.write_all(&record(entry))?;
        self.file.sync_data()?;
        self.is_damaged = false;
        self.records += 1;
        Ok(())
    }
}

/// Writes what matters into a new file, and puts it in place of the old one at once.
fn rewritten(path: &Path, replica: &Replica) -> std::io::Result<(File, usize)> {
    let (mut records, mut bytes) = (0, MAGIC.to_vec());
    for entry in replica.entries().flatten() {
        bytes.extend(record(&entry));
        records += 1;
    }
    let new = beside(path, ".new");
    let mut file = File::create(&new)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()?; // or a power cut may bring the old name back
    Ok((OpenOptions::new().append(true).open(path)?, records))
}

/// A file beside the journal's, which is never another one's.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// The right to write, which ends with the process however it ends. Of a file of its own, because the journal's is replaced.
fn lock(path: &Path) -> std::io::Result<File> {
    let lock = OpenOptions::new().create(true).truncate(false).write(true).open(beside(path, ".lock"))?;
    #[cfg(unix)]
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).map_err(|error| {
        let error = std::io::Error::from(error);
        let what = format!("somebody else writes revocations to {}: {error}", path.display());
        std::io::Error::new(error.kind(), what)
    })?;
    Ok(lock)
}

fn record(entry: &Entry) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    record[..LENGTH].copy_from_slice(&entry.encode());
    let checksum = checksum(&record[..LENGTH]);
    record[LENGTH..].copy_from_slice(&checksum);
    record
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM] {
    let mut checksum = [0; CHECKSUM];
    blake3::Hasher::new().update(bytes).finalize_xof().fill(&mut checksum);
    checksum
}

fn read(bytes: &[u8]) -> std::io::Result<Vec<Entry>> {
    let broken = |what: String| std::io::Error::new(std::io::ErrorKind::InvalidData, what);
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let records = bytes.strip_prefix(MAGIC).ok_or_else(|| broken("no file of revocations".to_owned()))?;
    let (whole, _torn) = records.as_chunks::<RECORD>();
    let last = whole.len();
    let mut entries = Vec::with_capacity(last);
    for (at, record) in whole.iter().enumerate() {
        let (entry, sum) = record.split_at(LENGTH);
        match Entry::decode(entry).filter(|_| checksum(entry) == sum) {
            Some(entry) => entries.push(entry),
            None if at + 1 == last => {} // torn as well: the length of a file may reach the disk before its bytes
            None => return Err(broken(format!("record {at} of {last} cannot be read"))),
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::revocation::Revocation;

    const NOW: u64 = 1_000_000;

    fn entry(name: &str) -> Entry {
        Revocation::id("a", name).entry(NOW, 10_000)
    }

    fn known(path: &Path, now: u64) -> std::io::Result<usize> {
        let replica = Replica::new();
        Journal::open(path, &replica, now).map(|_| replica.len())
    }

    fn write(path: &Path, names: &[&str]) {
        let replica = Replica::new();
        let mut journal = Journal::open(path, &replica, NOW).unwrap();
        for name in names {
            replica.add(&entry(name));
            journal.append(&entry(name), &replica).unwrap();
        }
    }

    #[test]
    fn a_restart_forgets_nothing_that_matters() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("revoked");
        write(&path, &["1", "2"]);
        write(&path, &["3"]);
        assert_eq!(known(&path, NOW).unwrap(), 3);
        assert_eq!(known(&path, NOW + 20_000).unwrap(), 0);
        assert_eq!(std::fs::read(&path).unwrap(), MAGIC);
    }

    #[test]
    fn a_torn_end_is_cut_and_a_broken_middle_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("revoked");
        write(&path, &["1", "2", "3"]);
        let bytes = std::fs::read(&path).unwrap();
        for (at, expected) in [(bytes.len() - 1, 2), (bytes.len() - RECORD, 2), (MAGIC.len() + 1, 0)] {
            std::fs::write(&path, &bytes[..at]).unwrap();
            assert_eq!(known(&path, NOW).unwrap(), expected, "{at}");
        }
        let flipped = |at: usize| {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            std::fs::write(&path, bytes).unwrap();
            known(&path, NOW)
        };
        assert_eq!(flipped(bytes.len() - 1).unwrap(), 2);
        assert!(flipped(MAGIC.len() + 3).is_err());
        assert!(flipped(0).is_err());
    }

    #[test]
    fn a_file_does_not_grow_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("revoked");
        let replica = Replica::new();
        let mut journal = Journal::open(&path, &replica, NOW).unwrap();
        journal.records = WORTH_REWRITING + 1; // as if so many had ended since
        replica.add(&entry("1"));
        journal.append(&entry("1"), &replica).unwrap();
        assert_eq!(journal.records, 1);
        drop(journal);
        assert_eq!(known(&path, NOW).unwrap(), 1);
    }

    #[test]
    fn a_write_that_failed_leaves_nothing_broken_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("revoked");
        let replica = Replica::new();
        let mut journal = Journal::open(&path, &replica, NOW).unwrap();
        let mut revoke = |name: &str, file: Option<File>| {
            if let Some(file) = file {
                journal.file = file;
            }
            replica.add(&entry(name));
            journal.append(&entry(name), &replica)
        };
        revoke("1", None).unwrap();
        // Half a record, as a full disk leaves it, and a file that takes no more.
        OpenOptions::new().append(true).open(&path).unwrap().write_all(&record(&entry("2"))[..20]).unwrap();
        revoke("2", Some(File::open(&path).unwrap())).unwrap_err();
        revoke("3", None).unwrap();
        drop(journal);
        assert_eq!(known(&path, NOW).unwrap(), 3, "that of the failed write, too");
    }

    #[test]
    #[cfg(unix)]
    fn a_file_has_one_who_writes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("revoked.new");
        let journal = Journal::open(&path, &Replica::new(), NOW).unwrap();
        assert_eq!(known(&path, NOW).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
        drop(journal);
        assert_eq!(known(&path, NOW).unwrap(), 0);
    }
}
