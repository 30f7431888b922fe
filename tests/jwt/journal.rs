//! Revocations of one process in a file: a restart forgets nothing that was acknowledged, however the process ends.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use buttress::jwt::{Revocation, Revocations, RevokeError, Standing, Token};

use crate::bed::{ISSUER, token};

/// What tells the writer that it is one.
const FILE: &str = "BUTTRESS_TEST_JOURNAL";

fn numbered(number: usize) -> Token {
    token(&format!(r#""jti":"{number}""#))
}

async fn is_revoked(revocations: &Revocations, number: usize) -> bool {
    matches!(revocations.check(&numbered(number)).await, Standing::Revoked(_))
}

/// Revokes one token after the other, and prints each once it is acknowledged; started by the tests below, in a process of its own.
#[tokio::test]
#[ignore = "it is the process that is killed"]
async fn the_writer() {
    let Some(file) = std::env::var_os(FILE) else { return };
    let revocations = Revocations::options().journal(file).expect("a journal");
    for number in revocations.len()..100_000 {
        match revocations.revoke(Revocation::id(ISSUER, &number.to_string())).await {
            Ok(()) => println!("\nrevoked {number}"),
            Err(error) => {
                assert!(matches!(error, RevokeError::Journal(_)) && is_revoked(&revocations, number).await);
                println!("\nfailed {number}");
            }
        }
    }
}

/// Starts the writer with this before it in the shell; what it said until somebody had enough of it and killed it.
fn write(file: &Path, before: &str, is_enough: impl Fn(&str) -> bool) -> Vec<String> {
    let binary = std::env::current_exe().expect("this very binary");
    let mut writer = Command::new("sh")
        .args(["-c", &format!(r#"{before} exec "$0" "$@""#)])
        .arg(binary)
        .args(["--exact", "journal::the_writer", "--ignored", "--nocapture"])
        .env(FILE, file)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell");
    let mut said = Vec::new();
    for line in BufReader::new(writer.stdout.take().expect("it was piped")).lines() {
        let line = line.expect("text");
        let enough = is_enough(&line);
        said.push(line);
        if enough {
            break;
        }
    }
    writer.kill().expect("it runs until it is killed");
    writer.wait().expect("our own child");
    said
}

fn numbers(said: &[String], word: &str) -> Vec<usize> {
    said.iter().filter_map(|line| line.strip_prefix(word)?.trim().parse().ok()).collect()
}

#[tokio::test]
async fn a_process_that_is_killed_while_it_writes_forgets_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("revoked");
    let mut acknowledged = Vec::new();
    for round in 1..=8 {
        let last = format!("revoked {}", round * 37);
        acknowledged.extend(numbers(&write(&file, "", |line| line == last), "revoked "));
        let after = Revocations::options().journal(&file).expect("a journal that can be read");
        for number in &acknowledged {
            assert!(is_revoked(&after, *number).await, "{number} was acknowledged");
        }
        // One more may have been written and not been said.
        let next = acknowledged.len() + 64;
        assert!(!is_revoked(&after, next).await);
    }
    assert!(acknowledged.len() > 8 * 30, "{} were acknowledged", acknowledged.len());
}

#[tokio::test]
async fn a_full_disk_is_an_error_and_leaves_nothing_broken() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("revoked");
    // No file grows beyond a kilobyte or two, as if the disk were full; the signal that says so is ignored.
    let full = "trap '' XFSZ; ulimit -f 2;";
    let said = write(&file, full, |line| line == "failed 200");
    let (acknowledged, failed) = (numbers(&said, "revoked "), numbers(&said, "failed "));
    assert!(acknowledged.len() > 10 && failed.len() > 10, "{} and {}", acknowledged.len(), failed.len());
    let after = Revocations::options().journal(&file).expect("a journal that can be read");
    for number in &acknowledged {
        assert!(is_revoked(&after, *number).await, "{number} was acknowledged");
    }
    after.revoke(Revocation::id(ISSUER, "1000")).await.expect("there is room again");
    drop(after);
    assert!(is_revoked(&Revocations::options().journal(&file).expect("a journal"), 1000).await);
}

#[tokio::test]
async fn a_file_is_written_by_one_and_shared_by_clones() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("revoked");
    let one = Revocations::options().journal(&file).expect("a journal");
    let clone = one.clone();
    clone.revoke(Revocation::id(ISSUER, "1")).await.expect("written");
    one.revoke(Revocation::id(ISSUER, "2")).await.expect("written");
    assert!(is_revoked(&one, 1).await && is_revoked(&clone, 2).await);
    let second = Revocations::options().journal(&file).expect_err("they would write past each other");
    assert!(second.to_string().contains("somebody else"), "{second}");
    drop((one, clone));
    let after = Revocations::options().journal(&file).expect("a journal");
    assert_eq!(after.len(), 2);
}
