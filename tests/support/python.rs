//! [`PythonService`]: a real service in Python, as a process of its own for one test.
//!
//! ```no_run
//! use buttress_tests::{PythonPackages, PythonService};
//!
//! static PACKAGES: PythonPackages =
//!     PythonPackages::new("flask-jwt-extended", concat!(env!("CARGO_MANIFEST_DIR"), "/requirements.txt"), "/tmp");
//!
//! // None if the tests were told to go without, by BUTTRESS_SKIP_FLASK.
//! let Some(service) = PythonService::start(&PACKAGES, "app.py", [("FLASK_DEBUG", "0")]) else { return };
//! println!("{}", service.url());
//! ```

use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

const SKIP: &str = "BUTTRESS_SKIP_FLASK";
/// What the applications share: `serving.py`.
const SHARED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/support/python");

/// Packages of PyPI; keep them in a `static`, so that they are fetched once.
#[derive(Debug)]
pub struct PythonPackages {
    name: &'static str,
    requirements: &'static str,
    beside: &'static str,
    python: OnceLock<Option<PathBuf>>,
}

/// A service in Python. It ends when this is dropped, or when this process dies: its standard input is closed then.
#[derive(Debug)]
pub struct PythonService {
    process: Child,
    url: String,
}

// === impl PythonPackages ===

impl PythonPackages {
    /// The packages that the file `requirements` lists, under the name of what is tested against; installed in the directory `beside`, which is
    /// `env!("CARGO_TARGET_TMPDIR")` of the test.
    #[must_use]
    pub const fn new(name: &'static str, requirements: &'static str, beside: &'static str) -> Self {
        Self { name, requirements, beside, python: OnceLock::new() }
    }

    /// The Python that has the packages: made once for each list of packages and each Python, beside what cargo builds. None if the tests were
    /// told to go without.
    fn python(&self) -> Option<&Path> {
        let made = self.python.get_or_init(|| {
            let name = self.name;
            if std::env::var_os(SKIP).is_some_and(|value| !value.is_empty()) {
                // Not by a macro: the harness would swallow it.
                drop(writeln!(std::io::stderr(), "\nSKIPPED: nothing is tested against {name}, as {SKIP} is set\n"));
                return None;
            }
            Some(self.environment().unwrap_or_else(|why| {
                panic!(
                    "{why}\nThese tests need the real {name}: python3 with venv, and PyPI (or PIP_INDEX_URL). \
                     {SKIP}=1 goes without them."
                )
            }))
        });
        made.as_deref()
    }

    fn environment(&self) -> Result<PathBuf, String> {
        let wanted = std::fs::read(self.requirements).map_err(|error| format!("{}: {error}", self.requirements))?;
        let version = run("python3", &["-c", "import sys; print(sys.base_prefix, sys.version)"])?;
        let mut digest = DefaultHasher::new();
        (wanted, version).hash(&mut digest);
        let all = Path::new(self.beside);
        let made = all.join(format!("flask-venv-{:016x}", digest.finish()));
        if !made.exists() {
            // Beside it, and moved when it is whole: another test may be at the same.
            let making = tempfile::Builder::new().prefix("flask-venv-making-").tempdir_in(all);
            let making = making.map_err(|error| format!("{}: {error}", all.display()))?;
            let place = making.path().to_string_lossy();
            run("python3", &["-m", "venv", &place])?;
            let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", self.requirements];
            run(&format!("{place}/bin/python"), &pip)?;
            if let Err(error) = std::fs::rename(making.path(), &made)
                && !made.exists()
            {
                return Err(format!("{}: {error}", made.display()));
            }
        }
        Ok(made.join("bin/python"))
    }
}

// === impl PythonService ===

impl PythonService {
    /// Runs the file `app` with these variables in its environment; it serves by `tests/support/python/serving.py`. None if the tests were told to go without.
    ///
    /// # Panics
    /// When there is no Python, the packages cannot be fetched, or the service does not start.
    pub fn start<K: AsRef<OsStr>, V: AsRef<OsStr>>(
        packages: &PythonPackages,
        app: &str,
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Option<Self> {
        let python = packages.python()?;
        let log = tempfile::NamedTempFile::new().expect("a temporary file");
        let mut command = Command::new(python);
        // No traces of it among the sources.
        command.arg("-B").arg(app).env("PYTHONPATH", SHARED).envs(variables);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log.reopen().expect("our own file"));
        let mut process = command.spawn().unwrap_or_else(|error| panic!("cannot run {}: {error}", python.display()));
        let port = first_line(&mut process);
        let mut service = Self { process, url: String::new() };
        let Some(port) = port.and_then(|line| line.trim().parse::<u16>().ok()) else {
            drop(service);
            panic!("{app} does not start: {}", std::fs::read_to_string(log.path()).unwrap_or_default());
        };
        service.url = format!("http://127.0.0.1:{port}");
        Some(service)
    }

    /// Where it listens, such as `http://127.0.0.1:4567`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for PythonService {
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
