"""Writes the two builds whose tools are not at hand, as their sources say that they would: see README.md."""

import hashlib
import json
import re
import shutil
from pathlib import Path

HERE = Path(__file__).parent
SVG = (HERE / "vite/input/src/logo.svg").read_bytes()


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def phoenix():
    """`mix phx.digest`: each file is copied beside itself under its MD5 before what it refers to is rewritten."""
    out = HERE / "phoenix/static"
    shutil.rmtree(out, ignore_errors=True)
    sources = {
        "assets/app.css": b'body {\n  background: url("/images/logo.svg");\n}\n',
        "assets/app.js": b'document.title = "app";\n',
        "images/logo.svg": SVG,
        "robots.txt": b"User-agent: *\n",
    }
    digests = {name: hashlib.md5(content).hexdigest() for name, content in sources.items()}
    latest = {name: re.sub(r"(\.\w+)$", rf"-{digests[name]}\1", name) for name in sources}
    before = b'document.title = "before";\n'
    old = f"assets/app-{hashlib.md5(before).hexdigest()}.js"
    write(out / old, before)
    entries = {latest[name]: entry(name, digests[name], content) for name, content in sources.items()}
    entries[old] = entry("assets/app.js", hashlib.md5(before).hexdigest(), before)
    for name, content in sources.items():
        write(out / name, content)
        if name.endswith(".css"):
            content = content.replace(b"/images/logo.svg", f"/{latest['images/logo.svg']}?vsn=d".encode())
        write(out / latest[name], content)
    manifest = {"digests": entries, "latest": latest, "version": 1}
    write(out / "cache_manifest.json", json.dumps(manifest, separators=(",", ":")).encode())


def entry(name, digest, content):
    return {"digest": digest, "logical_path": name, "mtime": 63900000000, "size": len(content)}


def propshaft():
    """`rails assets:precompile`: eight digits of the SHA-1 of content and `config.assets.version`; older versions write a flat map."""
    sources = {
        "application.css": b"body {\n  color: teal;\n}\n",
        "controllers/application.js": b'document.title = "app";\n',
        "logo.svg": SVG,
        "chart-2f3e4d5c.digested.js": b'document.title = "chart";\n',
    }
    new, old = {}, {}
    out = HERE / "propshaft/assets"
    shutil.rmtree(out, ignore_errors=True)
    for name, content in sources.items():
        digest = hashlib.sha1(content + b"1.0").hexdigest()[:8]
        path = name if ".digested." in name else re.sub(r"(\.\w+)$", rf"-{digest}\1", name)
        write(out / path, content)
        old[name] = path
        new[name] = {"digested_path": path, "integrity": None}
    write(out / ".manifest.json", json.dumps(new, separators=(",", ":")).encode())
    write(HERE / "propshaft/flat.manifest.json", json.dumps(old, separators=(",", ":")).encode())


phoenix()
propshaft()
