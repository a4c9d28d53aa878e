// Runs one Azurite service as the child of another program: node azurite_service.cjs <service main.js> <its options>
//
// It adds what Azurite's own command lines lack:
// - it says, on one line of JSON, which port it really listens on, so that the caller may ask for port 0;
// - it ends when its standard input ends, so that it can't outlive its parent, however that died, on any system.
"use strict";

const net = require("node:net");

const main = process.argv[2];
process.argv.splice(1, 2, main);

const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (...options) {
  this.once("listening", () => process.stdout.write(JSON.stringify({ port: this.address().port }) + "\n"));
  return listen.apply(this, options);
};

function end() {
  // Azurite saves what it keeps on disk when it is interrupted. In memory there is nothing to save.
  const saves = !process.argv.includes("--inMemoryPersistence");
  if (!saves || !process.emit("SIGINT")) {
    process.exit(0);
  }
}

process.stdin.once("end", end).once("error", end).resume();
// Watching must not keep a service alive that ended otherwise.
process.stdin.unref?.();

require(main);
