// Prints what the Khronos validator finds in GLB files; fails on errors and warnings.
"use strict";
const fs = require("fs");
const { validateBytes } = require("gltf-validator");

async function main(paths) {
  let found = 0;
  for (const path of paths) {
    const { issues } = await validateBytes(new Uint8Array(fs.readFileSync(path)));
    found += issues.numErrors + issues.numWarnings;
    console.log(`${path}: ${issues.numErrors} errors, ${issues.numWarnings} warnings, ` +
      `${issues.numInfos} infos, ${issues.numHints} hints`);
    for (const { code, message, pointer } of issues.messages) {
      console.log(`  ${code}: ${message} (${pointer})`);
    }
  }
  process.exitCode = found ? 1 : 0;
}

main(process.argv.slice(2));
