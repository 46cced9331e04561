#!/usr/bin/env bash
# Installs, into .clients (or the folder CLIENTS), the programs and SDKs that tests/clients points at the gateway.
# Each thing once; a changed version is installed over the old one. `install.sh sdks`: only the SDKs for Node.
set -euo pipefail
cd "$(dirname "$0")"
into=${CLIENTS:-$(cd ../.. && pwd)/.clients}
aider=aider-chat==0.86.2
what=${*:-sdks node aider go}
mkdir -p "$into"

# $1: a folder with a package.json here, $2: the folder to install it in. Succeeds if there was something to do.
npm_install() {
    mkdir -p "$2"
    if cmp -s "$1/package.json" "$2/package.json" && [ -e "$2/.complete" ]; then return 1; fi
    rm -f "$2/.complete" "$2/package-lock.json"
    cp "$1/package.json" "$2/package.json"
    (cd "$2" && npm install --no-audit --no-fund --loglevel=error)
}

for one in $what; do
    case $one in
    sdks)
        if npm_install sdks "$into/sdks"; then touch "$into/sdks/.complete"; fi ;;
    node)
        if npm_install programs_of_npm "$into/node"; then
            # npm asks before it runs what packages want run; these two fetch nothing, they put their binary in place.
            export PATH="$into/node/node_modules/.bin:$PATH"
            (cd "$into/node/node_modules/@anthropic-ai/claude-code" && node install.cjs)
            (cd "$into/node/node_modules/opencode-ai" && node postinstall.mjs)
            touch "$into/node/.complete"
        fi ;;
    aider)
        if ! [ -e "$into/aider/$aider" ]; then
            uv=$(command -v ../../.venv/bin/uv || command -v uv)
            "$uv" venv --quiet --clear --python 3.11 "$into/aider"
            "$uv" pip install --quiet --python "$into/aider/bin/python" "$aider"
            touch "$into/aider/$aider"
        fi ;;
    go)
        (cd go && go build -o "$into/go-sdks" .) ;;
    *)
        echo "install.sh: there is no $one here; there are: sdks node aider go" >&2
        exit 2 ;;
    esac
done
