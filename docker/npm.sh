#!/bin/sh
# Installs the modules of the image, with the secrets of the build if it was given any. The bundler and postject lie beside them, in /opt/node_modules, where
# scripts/build.mjs finds them too: nothing has to be taken away afterwards.
set -eu
[ ! -f /run/secrets/ca ] || export NODE_EXTRA_CA_CERTS=/run/secrets/ca npm_config_cafile=/run/secrets/ca
# ssh2's native addon is built with the headers that Node's images carry; without it connections are three times slower.
export npm_config_nodedir=/usr/local npm_config_audit=false npm_config_fund=false npm_config_update_notifier=false
# A registry that lacks other platforms' binaries makes `npm ci` find the lock file incomplete; the pinned versions are the same either way.
npm ci --omit=dev || npm install --no-save --omit=dev
npm install --no-save --prefix /opt "esbuild@$(node -p 'require("./package.json").devDependencies.esbuild')" "postject@$(node -p 'require("./package.json").devDependencies.postject')"
# Nothing of these is read when the program runs.
find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.md' \) -delete
find node_modules -type d -path '*/build/Release/obj.target' -prune -exec rm -rf {} +
rm -rf /root/.npm
