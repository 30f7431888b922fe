//! [`Flask`]: the real flask-jwt-extended, as a process of its own for one test.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use buttress_tests::RedisServer;

/// What the service is signed with, unless a test says otherwise.
pub(crate) const SECRET: &str = "Wm6Zq3sXb0uT9eRk4yVh7LpJc2NfGd8A1oQiEtKxSvY";

const APP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/jwt/flask/app.py");
const REQUIREMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/jwt/flask/requirements.txt");
const SKIP: &str = "BUTTRESS_SKIP_FLASK";

/// The old service. It ends when this is dropped, or when this process dies: its standard input is closed then.
pub(crate) struct Flask {
    process: Child,
    url: String,
}

impl Flask {
    /// Starts it with this Redis and these settings of Flask. None if the tests were told to go without.
    ///
    /// # Panics
    /// When there is no Python, or the packages cannot be fetched.
    pub(crate) fn start(redis: &RedisServer, settings: &[(&str, &str)]) -> Option<Self> {
        let python = python()?;
        let log = tempfile::NamedTempFile::new().expect("a temporary file");
        let mut command = Command::new(python);
        command.arg(APP).env("REDIS_URL", redis.url()).env("FLASK_JWT_SECRET_KEY", SECRET);
        command.envs(settings.iter().map(|(name, value)| (format!("FLASK_{name}"), value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log.reopen().expect("our own file"));
        let mut process = command.spawn().unwrap_or_else(|error| panic!("cannot run {}: {error}", python.display()));
        let port = first_line(&mut process);
        let mut flask = Self { process, url: String::new() };
        let Some(port) = port.and_then(|line| line.trim().parse::<u16>().ok()) else {
            drop(flask);
            panic!("the flask service does not start: {}", std::fs::read_to_string(log.path()).unwrap_or_default());
        };
        flask.url = format!("http://127.0.0.1:{port}");
        Some(flask)
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Flask {
    fn drop(&mut self) {
        // Our own child; one that has already ended is as good as killed.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// The first line that a process writes; none if it ends before, or takes longer than a minute.
fn first_line(process: &mut Child) -> Option<String> {
    let output = process.stdout.take()?;
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        drop(BufReader::new(output).read_line(&mut line).map(|_| send.send(line)));
    });
    receive.recv_timeout(Duration::from_secs(60)).ok()
}

/// The Python that has the packages: made once for each list of packages and each Python, beside what cargo builds. None if the tests were told
/// to go without.
fn python() -> Option<&'static Path> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    let made = PYTHON.get_or_init(|| {
        if std::env::var_os(SKIP).is_some_and(|value| !value.is_empty()) {
            // Not by a macro: the harness would swallow it.
            drop(writeln!(
                std::io::stderr(),
                "\nSKIPPED: nothing is tested against flask-jwt-extended, as {SKIP} is set\n"
            ));
            return None;
        }
        Some(environment().unwrap_or_else(|why| {
            panic!(
                "{why}\nThese tests need the real flask-jwt-extended: python3 with venv, and PyPI (or PIP_INDEX_URL). \
                 {SKIP}=1 goes without them."
            )
        }))
    });
    made.as_deref()
}

fn environment() -> Result<PathBuf, String> {
    let wanted = std::fs::read(REQUIREMENTS).map_err(|error| format!("{REQUIREMENTS}: {error}"))?;
    let version = run("python3", &["-c", "import sys; print(sys.base_prefix, sys.version)"])?;
    let mut digest = DefaultHasher::new();
    (wanted, version).hash(&mut digest);
    let all = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let made = all.join(format!("flask-venv-{:016x}", digest.finish()));
    if !made.exists() {
        // Beside it, and moved when it is whole: another test may be at the same.
        let making = tempfile::Builder::new().prefix("flask-venv-making-").tempdir_in(all);
        let making = making.map_err(|error| format!("{}: {error}", all.display()))?;
        let place = making.path().to_string_lossy();
        run("python3", &["-m", "venv", &place])?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", REQUIREMENTS];
        run(&format!("{place}/bin/python"), &pip)?;
        if let Err(error) = std::fs::rename(making.path(), &made)
            && !made.exists()
        {
            return Err(format!("{}: {error}", made.display()));
        }
    }
    Ok(made.join("bin/python"))
}

fn run(program: &str, args: &[&str]) -> Result<String, String> {
    let said = Command::new(program).args(args).stdin(Stdio::null()).output();
    let said = said.map_err(|error| format!("cannot run {program}: {error}"))?;
    if said.status.success() {
        return Ok(String::from_utf8_lossy(&said.stdout).into_owned());
    }
    // Python's venv complains on its output, pip on its error.
    let (out, err) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    Err(format!("{program} {}: {}\n{out}{err}", args.join(" "), said.status))
}
