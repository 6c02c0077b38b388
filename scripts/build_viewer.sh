#!/usr/bin/env bash
# Rebuild duet_rl/generate/assets/three.min.js, the 3D library inside every dance page.
# Needs Node 18 or newer and a network; only for a new version in scripts/viewer/package.json.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
assets="$root/duet_rl/generate/assets"
cd "$root/scripts/viewer"

npm ci --no-audit --no-fund
version=$(node -p "require('./node_modules/three/package.json').version")
npx esbuild three_parts.js --bundle --minify --format=iife --global-name=THREE \
  --target=es2020 --legal-comments=none --charset=ascii \
  --banner:js="/* three.js $version

$(cat node_modules/three/LICENSE)
*/" \
  --outfile="$assets/three.min.js"
cp node_modules/three/LICENSE "$assets/three.LICENSE.txt"
ls -l "$assets/three.min.js"
