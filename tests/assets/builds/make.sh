#!/usr/bin/env bash
# Makes the builds again, from the inputs beside it and the tools at these versions; prints them and what each name's hash is of.
# `VITE=latest tests/assets/builds/make.sh` takes another version. Needs node 20, npm and python 3. Phoenix and Propshaft are
# made by hand (`by_hand.py`), after their sources.
set -euo pipefail
cd "$(dirname "$0")"
here=$PWD

: "${VITE:=8.3.8}" "${ESBUILD:=0.28.2}" "${WEBPACK:=5.112.2}" "${WEBPACK_CLI:=7.3.1}" "${WEBPACK_MANIFEST:=6.0.1}" "${DJANGO:=5.2.19}"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# inputs TOOL: a copy of a tool's inputs, to work in.
inputs() { mkdir "$work/$1" && cp -R "$here/$1/input/." "$work/$1/" && cd "$work/$1"; }
# keep TOOL DIRECTORY: the directory becomes the tool's checked-in output.
keep() { rm -rf "${here:?}/$1/$2" && cp -R "$work/$1/$2" "$here/$1/$2"; }
node_packages() { echo '{ "private": true }' >package.json; npm install --silent --no-audit --no-fund "$@"; }

inputs vite
node_packages "vite@$VITE"
npx vite build --outDir dist
PLAIN=1 npx vite build --outDir plain
keep vite dist && keep vite plain

inputs esbuild
node_packages "esbuild@$ESBUILD"
bundle() { npx esbuild app.js admin/admin.js --bundle --format=esm --splitting --sourcemap --minify --loader:.svg=file --log-level=warning "$@"; }
bundle --outdir=dist --metafile=dist/meta.json '--entry-names=[dir]/[name]-[hash]' '--asset-names=media/[name]-[hash]' '--chunk-names=chunks/[name]-[hash]'
bundle --outdir=plain --metafile=plain/meta.json
keep esbuild dist && keep esbuild plain

inputs webpack
node_packages "webpack@$WEBPACK" "webpack-cli@$WEBPACK_CLI" "webpack-manifest-plugin@$WEBPACK_MANIFEST"
npx webpack --json=stats.json
mv stats.json dist/
keep webpack dist

inputs django
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check "django==$DJANGO"
PYTHONDONTWRITEBYTECODE=1 DJANGO_SETTINGS_MODULE=settings PYTHONPATH=. "$work/venv/bin/django-admin" collectstatic --noinput --verbosity 0
keep django staticfiles

cd "$here"
python3 by_hand.py
echo "vite $VITE, esbuild $ESBUILD, webpack $WEBPACK with webpack-manifest-plugin $WEBPACK_MANIFEST, Django $DJANGO"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check blake3 xxhash
"$work/venv/bin/python" digests.py
